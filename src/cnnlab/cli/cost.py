"""`cnnlab cost`: shapes, parameters, MACs and receptive fields of an architecture, without building it."""

import json
from typing import Annotated

import typer


def cost(
    architecture: Annotated[
        list[str],
        typer.Argument(
            help="A name with options (`resnet20 shortcut=B`) or layers (`'flatten | linear 100'`)."
        ),
    ],
    input_size: Annotated[
        str, typer.Option("--input", help="Channels x height x width of an image, or a number of features.")
    ] = "3x32x32",
    classes: Annotated[int, typer.Option(min=1, help="Classes of a named architecture.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
) -> None:
    """Print what every layer makes, holds and costs for one image."""
    from cnnlab.arch import resolve
    from cnnlab.arch.shapes import read_shape

    input_shape = read_shape(input_size)
    value = resolve(" ".join(architecture), input_shape, classes)
    trace = value.trace(input_shape)
    typer.echo(
        json.dumps({"architecture": str(value), **trace.to_dict()}, indent=2) if as_json else trace.table()
    )
