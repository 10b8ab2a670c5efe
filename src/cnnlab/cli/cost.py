"""`cnnlab cost`: shapes, parameters, MACs and receptive fields, of an architecture without building it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import RunsOption

if TYPE_CHECKING:
    from cnnlab.arch import Trace
    from cnnlab.inspect.counters import CounterTable


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
    from cnnlab.cli.networks import find_network

    found = find_network(" ".join(network), runs, input_size, classes)
    result: Trace | CounterTable
    if counters:
        from cnnlab.inspect.counters import count

        result = count(found.architecture, found.input_shape, found.trained.model if found.trained else None)
    else:
        result = found.architecture.trace(found.input_shape)
    if as_json:
        typer.echo(json.dumps({"architecture": str(found.architecture), **result.to_dict()}, indent=2))
    else:
        typer.echo(result.table())
