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
    from cnnlab.cli.console import say
    from cnnlab.cli.download import download_bars
    from cnnlab.core.errors import CnnlabError
    from cnnlab.deploy import pretrained
    from cnnlab.deploy.model_file import SUFFIX, write_model

    if (file is None) == (known is None):
        names = ", ".join(pretrained.KNOWN)
        raise CnnlabError(f"import-weights: give either a file or --known NAME; known are {names}")
    if file is not None and file.suffix == SUFFIX:
        raise CnnlabError(f"{file}: expected what torch.save wrote; model files need no import")
    path = file if file is not None else pretrained.fetch_weights(str(known), progress=download_bars)
    target = out or Path(path.with_suffix(SUFFIX).name)
    if target.suffix != SUFFIX:
        raise CnnlabError(f"--out: received {target}, expected a name that ends with {SUFFIX}")
    imported = pretrained.import_weights(path)
    write_model(target, imported.predictor, imported.origin)
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
