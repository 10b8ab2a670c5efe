"""`cnnlab import-weights`: published weights to a model file, once."""

from pathlib import Path
from typing import Annotated

import typer


def import_weights(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A file of weights: a CIFAR ResNet by akamaster or chenyaofo, any depth and option."
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help="Download published weights instead: akamaster-resnet20, "
            "chenyaofo-cifar10-resnet20|32|44|56, chenyaofo-cifar100-resnet20|32|44|56."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model file to write; else NAME.safetensors here.")
    ] = None,
) -> None:
    """Convert published weights to a model file; nothing in them is ever executed."""
    from cnnlab.api.networks import import_weights
    from cnnlab.cli.console import say
    from cnnlab.cli.download import download_bars

    imported, target = import_weights(file, known, out, download_bars)
    normalisation = imported.predictor.normalisation
    parameters = imported.predictor.architecture.trace(imported.predictor.image_shape).parameters
    classes = imported.predictor.classes
    say(f"source         {imported.source}, sha256 {imported.sha256}")
    say(f"network        resnet{imported.depth} shortcut={imported.shortcut}, {parameters:,} parameters")
    say(f"classes        {len(classes)}: {', '.join(classes[:10])}{' ...' if len(classes) > 10 else ''}")
    say(f"normalisation  mean {_numbers(normalisation.mean)}, std {_numbers(normalisation.std)}")
    say(f"wrote          {target}")


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
