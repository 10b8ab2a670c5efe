"""`cnnlab runs`: list the runs, look at one, compare two, ask SQL of all."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnlab.cli.console import print_table
from cnnlab.core.errors import CnnlabError, RecipeError
from cnnlab.core.tables import csv_text

if TYPE_CHECKING:
    from cnnlab.recipe import Recipe
    from cnnlab.runs import RunFolder

app = typer.Typer(help="List, show, compare and query runs.", no_args_is_help=True)

RunsFolder = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Folder of the runs; else $CNNLAB_RUNS, else ./runs."),
]
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
    from cnnlab.core.suggest import did_you_mean
    from cnnlab.runs import runs_root
    from cnnlab.runs.queries import RUN_COLUMNS, list_runs

    root = runs_root(runs)
    rows = list_runs(root)
    columns = {*RUN_COLUMNS, *(name for row in rows for name in row)}
    if sort not in columns:
        raise CnnlabError(f"--sort: received {sort!r}{did_you_mean(sort, columns)}")
    if not rows:
        typer.echo(f"no runs in {root}; `cnnlab train` makes one", err=True)
        return
    known = [row for row in rows if row.get(sort) is not None]
    unknown = [row for row in rows if row.get(sort) is None]
    known.sort(key=lambda row: _sort_key(row[sort]), reverse=reverse)
    print_table(
        list(_LISTED), [[_text(name, row[name]) for name in _LISTED.values()] for row in known + unknown]
    )


@app.command("show")
def show_command(run: Run, runs: RunsFolder = None) -> None:
    """Show one run: how it stands, what it trained, how it went, and where its files are."""
    from cnnlab.runs import find_run, runs_root
    from cnnlab.runs.queries import flatten

    folder = find_run(runs_root(runs), run)
    recipe = folder.recipe
    typer.echo(f"run       {folder.id}")
    typer.echo(f"status    {folder.status}")
    typer.echo(
        f"recipe    {recipe.name}, seed {recipe.seed}, hash {recipe.hash}{_difference_to_preset(recipe)}"
    )
    _print_values("environment", flatten(folder.environment.to_json()))
    _print_epochs(folder.metrics)
    if folder.result is not None:
        _print_values("result", flatten(folder.result.to_json()))
    _print_files(folder)


@app.command("diff")
def diff_command(first: Run, second: Run, runs: RunsFolder = None) -> None:
    """Compare two runs: where their recipes and the conditions of training differ, and how each ended."""
    from cnnlab.compare.comparable import comparability, data_problems, notes
    from cnnlab.runs import find_run, runs_root
    from cnnlab.runs.queries import summary

    root = runs_root(runs)
    a, b = find_run(root, first), find_run(root, second)
    differences = a.recipe.diff(b.recipe)
    if differences:
        print_table(
            ["recipe", a.id, b.id], [[path, _plain(left), _plain(right)] for path, left, right in differences]
        )
    else:
        typer.echo("the recipes are equal")
    typer.echo()
    times = comparability((a, b), "seconds")
    for line in [*data_problems((a, b)), *notes((a, b)), *([] if times.comparable else [times.reason])]:
        typer.echo(f"note: {line}")
    rows = [summary(a), summary(b)]
    names = ("state", "epochs", "best_val_accuracy", "best_epoch", "test_accuracy", "seconds", "device")
    print_table(["result", a.id, b.id], [[name, *(_text(name, row[name]) for row in rows)] for name in names])


@app.command("query")
def query_command(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over the tables `runs` and `metrics`.")],
    runs: RunsFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object a row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
) -> None:
    """Ask SQL of all runs: `select name, avg(test_accuracy) from runs group by name`."""
    from cnnlab.runs import runs_root
    from cnnlab.runs.queries import query

    if as_json and as_csv:
        raise CnnlabError("received both --json and --csv, expected one of them")
    table = query(runs_root(runs), sql)
    if as_json:
        records = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        typer.echo(json.dumps(_without_nan(records), indent=2, default=str, allow_nan=False))
    elif as_csv:
        typer.echo(csv_text(table.columns, table.rows), nl=False)
    else:
        print_table(table.columns, [[_plain(value) for value in row] for row in table.rows])


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


def _sort_key(value: Any) -> tuple[bool, Any]:
    """Numbers before words, so that a column of both can be sorted."""
    return (True, value) if isinstance(value, str) else (False, value)


def _difference_to_preset(recipe: "Recipe") -> str:
    """What the recipe changes of the preset of its name, line by line; nothing if no preset has the name."""
    from cnnlab.recipe import Recipe

    try:
        preset = Recipe.named(recipe.name)
    except RecipeError:
        return ""
    differences = preset.diff(recipe)
    if not differences:
        return ", as the preset"
    lines = [
        f"          {path} = {_plain(here)} (preset: {_plain(there)})" for path, there, here in differences
    ]
    return "\n".join([", changed from the preset:", *lines])


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    typer.echo(f"\n{title}")
    width = max(map(len, values), default=0)
    for name, value in values.items():
        typer.echo(f"  {name:<{width}}  {_text(name, value)}")


def _print_epochs(rows: Sequence[Mapping[str, Any]]) -> None:
    """The first, the best and the last epochs; dots stand for what is left out."""
    from cnnlab.runs.metrics import best_row

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
            lines.append([*(_text(name, row.get(name)) for name in columns), "best" if is_best else ""])
        left_out = lines[-1][0] != _text("epoch", row["epoch"])
    print_table([*columns, ""], lines)


def _print_files(folder: "RunFolder") -> None:
    typer.echo("\nfiles")
    for path in sorted(folder.path.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            typer.echo(f"  {path}")


def _text(name: str, value: Any) -> str:
    """A value as people read it, by its name: accuracies in percent, seconds as time, dates to the second."""
    if not isinstance(value, int | float):
        return str(value)[:19].replace("T", " ") if name == "created" and value else _plain(value)
    if "accuracy" in name.split("_"):
        return f"{value:.2%}"
    if "seconds" in name.split("_"):
        minutes, seconds = divmod(value, 60)
        return f"{int(minutes)}m {seconds:02.0f}s" if minutes else f"{seconds:.1f}s"
    return f"{value:.0f}" if name == "images_per_second" else _plain(value)


def _plain(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)
