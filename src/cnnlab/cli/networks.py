"""`cnnlab cost`, `cnnlab export` and `cnnlab import-weights`: what networks cost, and their other forms."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cnnlab import api
from cnnlab.cli.console import say
from cnnlab.cli.execution import NetworkArgument


def cost(
    network: list[str],
    input_size: str | None = None,
    classes: Annotated[int | None, typer.Option(min=1)] = None,
    counters: bool = False,
    as_json: bool = False,
    runs: Path | None = None,
) -> None:
    """Print the output shape, parameters and costs of every layer for one image.

    network ARCHITECTURE|RUN|MODEL: A name with options (`resnet20 shortcut=B`), layers (`'flatten | linear 100'`),
      a run, or a model file.
    input_size --input: For an architecture: channels x height x width of an image, or a number of features;
      else 3x32x32.
    classes: Classes of a named architecture; else 10.
    counters: Count with THOP and torch as well, and explain the differences.
    as_json --json: Print one JSON object instead of the table.
    """
    found = api.networks.find_network(" ".join(network), runs, input_size, classes)
    result = found.counters() if counters else found.cost()
    if as_json:
        typer.echo(json.dumps({"architecture": str(found.architecture), **result.to_dict()}, indent=2))
    else:
        typer.echo(result.table())


def export(network: NetworkArgument, path: Path, runs: Path | None = None) -> None:
    """Write a network as a model file or as ONNX; ONNX takes pixels 0..1 and must answer as torch does.

    path: model.safetensors (weights and all that belongs to them) or model.onnx.
    """
    parity = api.networks.export(network, path, runs)
    say(f"wrote {path}, {path.stat().st_size:,} bytes")
    if parity is not None:
        say(
            f"largest difference to torch in logits {parity.max_difference:.2g}, "
            f"{parity.relative:.2g} of the largest logit"
        )


def import_weights(file: Path | None = None, known: str | None = None, out: Path | None = None) -> None:
    """Convert published weights to a model file; no code in them is executed.

    file [FILE]: A file of weights: a CIFAR ResNet by akamaster or chenyaofo, any depth and option.
    known: Download published weights instead: akamaster-resnet20, chenyaofo-cifar10-resnet20|32|44|56,
      chenyaofo-cifar100-resnet20|32|44|56.
    out FILE: The model file to write; else NAME.safetensors here.
    """
    from cnnlab.cli.progress import download_bars

    imported, target = api.networks.import_weights(file, known, out, download_bars)
    network, normalisation = imported.predictor, imported.predictor.normalisation
    parameters = network.architecture.trace(network.image_shape).parameters
    names = ", ".join(network.classes[:10]) + (" ..." if len(network.classes) > 10 else "")
    mean, std = (" ".join(f"{one:g}" for one in values) for values in (normalisation.mean, normalisation.std))
    say(f"source         {imported.source}, sha256 {imported.sha256}")
    say(f"network        resnet{imported.depth} shortcut={imported.shortcut}, {parameters:,} parameters")
    say(f"classes        {len(network.classes)}: {names}")
    say(f"normalisation  mean {mean}, std {std}")
    say(f"wrote          {target}")
