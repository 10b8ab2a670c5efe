"""`cnnlab cost`: shapes, parameters, MACs and receptive fields, of an architecture without building it."""

import json
from typing import Annotated

import typer

from cnnlab.cli.execution import RunsOption


def cost(
    network: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCHITECTURE|RUN|MODEL",
            help="A name with options (`resnet20 shortcut=B`), layers (`'flatten | linear 100'`), a run, or a "
            "model file.",
        ),
    ],
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="For an architecture: channels x height x width of an image, or a number of features; else 3x32x32.",
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Classes of a named architecture; else 10.")
    ] = None,
    counters: Annotated[
        bool,
        typer.Option("--counters", help="Count with THOP and torch as well, and explain the differences."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
    runs: RunsOption = None,
) -> None:
    """Print what every layer makes, holds and costs for one image."""
    from cnnlab.api.networks import find_network

    found = find_network(" ".join(network), runs, input_size, classes)
    result = found.counters() if counters else found.cost()
    if as_json:
        typer.echo(json.dumps({"architecture": str(found.architecture), **result.to_dict()}, indent=2))
    else:
        typer.echo(result.table())
