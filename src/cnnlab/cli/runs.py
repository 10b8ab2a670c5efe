"""`cnnlab runs`: list the runs, look at one, compare two, ask SQL of all."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

import cnnlab
from cnnlab import api
from cnnlab.cli.console import plain, print_table, value_text
from cnnlab.cli.execution import RunsFolder
from cnnlab.core.errors import CnnlabError
from cnnlab.core.tables import csv_text

Run = Annotated[str, typer.Argument(metavar="RUN", help="A path, an id, its unique beginning, or `last`.")]

_LISTED_HEAD = ("run", "state", "epochs", "best val", "test", "time", "created")
_LISTED = ("id", "state", "epochs", "best_val_accuracy", "test_accuracy", "seconds", "created")
_COMPARED = ("state", "epochs", "best_val_accuracy", "best_epoch", "test_accuracy", "seconds", "device")
_EPOCH_COLUMNS = "epoch lr train_loss train_accuracy val_loss val_accuracy images_per_second"
_FIRST_EPOCHS, _LAST_EPOCHS = 3, 5


def ls(runs: RunsFolder = None, sort: str = "created", reverse: bool = False) -> None:
    """List all runs, oldest first; one tab-separated line each where the output is not a terminal.

    sort: Column, also of the recipe: test_accuracy, optim_lr, …
    reverse: Largest first.
    """
    if rows := api.runs.list_runs(runs, sort, reverse):
        print_table(_LISTED_HEAD, [[value_text(name, row[name]) for name in _LISTED] for row in rows])
    else:
        typer.echo(f"no runs in {api.runs.runs_root(runs)}; `cnnlab train` makes one", err=True)


def show(run: Run, runs: RunsFolder = None) -> None:
    """Show one run: its state, recipe, environment, epochs, result and files."""
    folder = cnnlab.load_run(run, runs).folder
    recipe = folder.recipe
    typer.echo(f"run       {folder.id}")
    typer.echo(f"status    {folder.status}")
    typer.echo(f"recipe    {recipe.name}, seed {recipe.seed}, hash {recipe.hash}{_difference_to_preset(recipe)}")
    if folder.is_assembled:
        _print_values("environment", api.runs.flatten(folder.environment.to_json()))
    _print_epochs(folder.metrics)
    if folder.result is not None:
        _print_values("result", api.runs.flatten(folder.result.to_json()))
    typer.echo("\nfiles")
    for path in sorted(folder.path.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            typer.echo(f"  {path}")


def diff(first: Run, second: Run, runs: RunsFolder = None) -> None:
    """Compare two runs: where their recipes and the conditions of training differ, and how each ended."""
    differences, notes, rows = api.runs.compare(first, second, runs)
    ids = [row["id"] for row in rows]
    if differences:
        print_table(["recipe", *ids], [[path, *map(plain, values)] for path, *values in differences])
    else:
        typer.echo("the recipes are equal")
    typer.echo()
    for line in notes:
        typer.echo(f"note: {line}")
    print_table(["result", *ids], [[name, *(value_text(name, row[name]) for row in rows)] for name in _COMPARED])


def query(sql: str, runs: RunsFolder = None, as_json: bool = False, as_csv: bool = False) -> None:
    """Ask SQL of all runs: `select name, avg(test_accuracy) from runs group by name`.

    sql: DuckDB SQL over the tables `runs` and `metrics`.
    as_json --json: A JSON list with one object a row.
    as_csv --csv: CSV with a header line.
    """
    if as_json and as_csv:
        raise CnnlabError("received both --json and --csv, expected one of them")
    table = api.runs.query(sql, runs)
    if as_json:
        records = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        typer.echo(json.dumps(_without_nan(records), indent=2, default=str, allow_nan=False))
    elif as_csv:
        typer.echo(csv_text(table.columns, table.rows), nl=False)
    else:
        print_table(table.columns, [[plain(value) for value in row] for row in table.rows])


def _without_nan(value: Any) -> Any:
    """NaN and infinity as None, at any depth: JSON has no such numbers."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [_without_nan(each) for each in value]
        case dict():
            return {str(key): _without_nan(each) for key, each in value.items()}
        case _:
            return value


def _difference_to_preset(recipe: "cnnlab.Recipe") -> str:
    """A line for each value that differs from the preset of the same name; empty if there is no such preset."""
    changes = api.runs.preset_changes(recipe)
    if not changes:
        return "" if changes is None else ", as the preset"
    lines = [f"          {path} = {plain(here)} (preset: {plain(there)})" for path, there, here in changes]
    return "\n".join([", changed from the preset:", *lines])


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    typer.echo(f"\n{title}")
    width = max(map(len, values), default=0)
    for name, value in values.items():
        typer.echo(f"  {name:<{width}}  {value_text(name, value)}")


def _print_epochs(rows: Sequence[dict[str, Any]]) -> None:
    """The first, the best and the last epochs; a line of dots stands for those between."""
    if not rows:
        typer.echo("\nno epoch finished yet")
        return
    typer.echo("\nepochs, as scored while training")
    best = api.runs.best_row(rows)
    columns = [name for name in _EPOCH_COLUMNS.split() if any(row.get(name) is not None for row in rows)]
    lines: list[list[str]] = []
    last = -1
    for position, row in enumerate(rows):
        if _FIRST_EPOCHS <= position < len(rows) - _LAST_EPOCHS and row != best:
            continue
        if position > last + 1:
            lines.append(["…"] * len(columns) + [""])
        lines.append([*(value_text(name, row.get(name)) for name in columns), "best" if row == best else ""])
        last = position
    print_table([*columns, ""], lines)
