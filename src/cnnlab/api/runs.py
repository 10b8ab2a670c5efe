"""Runs as values: a row for each, differences to the preset, two runs compared, SQL over all."""

from pathlib import Path
from typing import Any, NamedTuple

from cnnlab.compare.comparable import comparability, data_problems, notes
from cnnlab.core.errors import CnnlabError, RecipeError
from cnnlab.core.suggest import did_you_mean
from cnnlab.deploy.run import Run, load_run
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, Status, queries, runs_root
from cnnlab.runs.metrics import Row, best_row
from cnnlab.runs.queries import RUN_COLUMNS, Table, flatten, query
from cnnlab.runs.watch import Update, watch
from cnnlab.runs.writer import request_stop

__all__ = [
    "RUN_COLUMNS", "Comparison", "Row", "Run", "RunFolder", "Status", "Table", "Update", "best_row",
    "compare", "flatten", "list_runs", "load_run", "preset_changes", "query", "request_stop", "runs_root",
    "watch",
]  # fmt: skip

Difference = tuple[str, Any, Any]
"""A path of the recipe, and its two values."""


class Comparison(NamedTuple):
    """Differences between the recipes of two runs, other differences (a line each), and their rows of `list_runs`."""

    differences: list[Difference]
    notes: list[str]
    rows: tuple[Row, Row]


def list_runs(runs: Path | None = None, sort: str = "created", reverse: bool = False) -> list[Row]:
    """A row for each run below `runs`, by the column `sort`; runs without a value there come last.

    Columns are `RUN_COLUMNS` and every value of the recipes (`optim_lr`). Raises CnnlabError for an unknown one.
    """
    rows = queries.list_runs(runs_root(runs))
    columns = {*RUN_COLUMNS, *(name for row in rows for name in row)}
    if sort not in columns:
        raise CnnlabError(f"--sort: received {sort!r}{did_you_mean(sort, columns)}")
    known = [row for row in rows if row.get(sort) is not None]
    # Numbers before words: a column may have both.
    known.sort(key=lambda row: (isinstance(row[sort], str), row[sort]), reverse=reverse)
    return known + [row for row in rows if row.get(sort) is None]


def compare(first: str, second: str, runs: Path | None = None) -> Comparison:
    """Two runs, named as for `load_run`. Raises RunError, RecipeError."""
    a, b = load_run(first, runs).folder, load_run(second, runs).folder
    times = comparability((a, b), "seconds")
    other = [*data_problems((a, b)), *notes((a, b)), *([] if times.comparable else [times.reason])]
    return Comparison(a.recipe.diff(b.recipe), other, (queries.summary(a), queries.summary(b)))


def preset_changes(recipe: Recipe) -> list[Difference] | None:
    """Changes to the preset of the same name: path, the preset's value, the recipe's. None without such a preset."""
    try:
        return Recipe.named(recipe.name).diff(recipe)
    except RecipeError:
        return None
