"""`cnnlab runs`: list the runs, look at one, compare two, ask SQL of all."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnlab.cli.console import plain, print_table, value_text
from cnnlab.cli.execution import RunsFolder
from cnnlab.core.errors import CnnlabError
from cnnlab.core.tables import csv_text

if TYPE_CHECKING:
    from cnnlab import Recipe

app = typer.Typer(help="List, show, compare and query runs.", no_args_is_help=True)

Run = Annotated[str, typer.Argument(metavar="RUN", help="A path, an id, its unique beginning, or `last`.")]

_LISTED = {
    "run": "id",
    "state": "state",
    "epochs": "epochs",
    "best val": "best_val_accuracy",
    "test": "test_accuracy",
    "time": "seconds",
    "created": "created",
}
_COMPARED = ("state", "epochs", "best_val_accuracy", "best_epoch", "test_accuracy", "seconds", "device")
_EPOCH_COLUMNS = (
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "images_per_second",
)
_FIRST_EPOCHS, _LAST_EPOCHS = 3, 5


@app.command("ls")
def list_command(
    runs: RunsFolder = None,
    sort: Annotated[
        str, typer.Option(help="Column, also of the recipe: test_accuracy, optim_lr, …")
    ] = "created",
    reverse: Annotated[bool, typer.Option("--reverse", help="Largest first.")] = False,
) -> None:
    """List all runs, oldest first; one tab-separated line each where the output is not a terminal."""
    from cnnlab.api.runs import list_runs, runs_root

    rows = list_runs(runs, sort, reverse)
    if rows:
        print_table(
            list(_LISTED), [[value_text(name, row[name]) for name in _LISTED.values()] for row in rows]
        )
    else:
        typer.echo(f"no runs in {runs_root(runs)}; `cnnlab train` makes one", err=True)


@app.command("show")
def show_command(run: Run, runs: RunsFolder = None) -> None:
    """Show one run: how it stands, what it trained, how it went, and where its files are."""
    from cnnlab.api.runs import flatten, load_run

    folder = load_run(run, runs).folder
    recipe = folder.recipe
    typer.echo(f"run       {folder.id}")
    typer.echo(f"status    {folder.status}")
    typer.echo(
        f"recipe    {recipe.name}, seed {recipe.seed}, hash {recipe.hash}{_difference_to_preset(recipe)}"
    )
    if folder.is_assembled:
        _print_values("environment", flatten(folder.environment.to_json()))
    _print_epochs(folder.metrics)
    if folder.result is not None:
        _print_values("result", flatten(folder.result.to_json()))
    typer.echo("\nfiles")
    for path in sorted(folder.path.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            typer.echo(f"  {path}")


@app.command("diff")
def diff_command(first: Run, second: Run, runs: RunsFolder = None) -> None:
    """Compare two runs: where their recipes and the conditions of training differ, and how each ended."""
    from cnnlab.api.runs import compare

    differences, notes, rows = compare(first, second, runs)
    ids = [row["id"] for row in rows]
    if differences:
        print_table(["recipe", *ids], [[path, *map(plain, values)] for path, *values in differences])
    else:
        typer.echo("the recipes are equal")
    typer.echo()
    for line in notes:
        typer.echo(f"note: {line}")
    print_table(
        ["result", *ids], [[name, *(value_text(name, row[name]) for row in rows)] for name in _COMPARED]
    )


@app.command("query")
def query_command(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over the tables `runs` and `metrics`.")],
    runs: RunsFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object a row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
) -> None:
    """Ask SQL of all runs: `select name, avg(test_accuracy) from runs group by name`."""
    from cnnlab.api.runs import query

    if as_json and as_csv:
        raise CnnlabError("received both --json and --csv, expected one of them")
    table = query(sql, runs)
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


def _difference_to_preset(recipe: "Recipe") -> str:
    """What the recipe changes of the preset of its name, line by line; nothing if no preset has the name."""
    from cnnlab.api.runs import preset_changes

    changes = preset_changes(recipe)
    if not changes:
        return "" if changes is None else ", as the preset"
    lines = [f"          {path} = {plain(here)} (preset: {plain(there)})" for path, there, here in changes]
    return "\n".join([", changed from the preset:", *lines])


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    typer.echo(f"\n{title}")
    width = max(map(len, values), default=0)
    for name, value in values.items():
        typer.echo(f"  {name:<{width}}  {value_text(name, value)}")


def _print_epochs(rows: Sequence[Mapping[str, Any]]) -> None:
    """The first, the best and the last epochs; dots stand for what is left out."""
    from cnnlab.api.runs import best_row

    if not rows:
        typer.echo("\nno epoch finished yet")
        return
    typer.echo("\nepochs, as scored while training")
    best = best_row([dict(row) for row in rows])
    columns = [name for name in _EPOCH_COLUMNS if any(row.get(name) is not None for row in rows)]
    lines: list[list[str]] = []
    left_out = False
    for position, row in enumerate(rows):
        is_best = row == best
        if position < _FIRST_EPOCHS or position >= len(rows) - _LAST_EPOCHS or is_best:
            lines += [["…"] * len(columns) + [""]] if left_out else []
            lines.append([*(value_text(name, row.get(name)) for name in columns), "best" if is_best else ""])
        left_out = lines[-1][0] != value_text("epoch", row["epoch"])
    print_table([*columns, ""], lines)
