"""`cnnlab cost`, `bench latency`, `export` and `import-weights`: what networks cost, their speed and other forms."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cnnlab import api
from cnnlab.cli.console import err, say
from cnnlab.cli.execution import NetworkArgument
from cnnlab.core.files import write_atomic


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


def latency(
    networks: list[str],
    image: Path | None = None,
    warmup: int = 20,
    iterations: int = 500,
    threads: int | None = None,
    device: str = "auto",
    backend: list[str] | None = None,
    json_file: Path | None = None,
    runs: Path | None = None,
) -> None:
    """Time single images, and check that every backend gives the same logits.

    networks RUN|MODEL|ARCHITECTURE...: One or more; quote an architecture with options (`'resnet20 shortcut=B'`).
      An architecture takes 3x32x32 and gets untrained weights.
    image: Time this image; a random one if not given.
    warmup: Calls before those that are timed.
    iterations: Timed calls, 10 to 100,000.
    backend: eager, compiled or onnx; may be repeated. All if not given.
    json_file --json FILE: Write all figures here, too.
    """
    from cnnlab.deploy.latency import latency_table

    timing = {"image": image, "warmup": warmup, "iterations": iterations, "threads": threads, "device": device}
    # The status is an animation on a terminal, nothing elsewhere.
    measured = api.networks.latencies(networks, runs, backend, lambda name: err.status(f"timing {name}"), **timing)
    typer.echo(latency_table(measured))
    if json_file is not None:
        values = {name: asdict(one) for name, one in measured.items()}
        write_atomic(json_file, json.dumps(values, indent=2) + "\n")
