"""Many runs as a table: a row for each, and SQL over all of them.

Rows come from the plain files: runs of other versions and damaged runs are listed too, as far as they are readable.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cnnlab.core.errors import CnnlabError
from cnnlab.runs import layout
from cnnlab.runs.metrics import Row, best_row
from cnnlab.runs.reader import RunFolder, run_folders

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")

RUN_COLUMNS = (
    *("id", "name", "seed", "hash", "state", "epochs", "best_val_accuracy", "best_epoch", "test_accuracy"),
    *("seconds", "device", "created"),
)
METRIC_COLUMNS = ("run", "epoch", "step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy")


class QueryError(CnnlabError):
    """SQL that is not valid here."""


@dataclass(frozen=True)
class Table:
    """Column names, and rows of plain values in that order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def list_runs(root: Path) -> list[Row]:
    """One row per run, oldest first.

    Columns: `RUN_COLUMNS` (epochs: number of finished ones; created: UTC) and every value of the recipe under its
    path with `_` for `.` (`optim_lr`). None where unknown.
    """
    rows = [summary(RunFolder(path)) for path in run_folders(root)]
    return sorted(rows, key=lambda row: (row["created"] or "", row["id"]))


def query(sql: str, runs: Path | None = None) -> Table:
    """The result of DuckDB SQL over `runs` (see `list_runs`) and `metrics` (`run`, then a row of the curve).

    The statement can read nothing else: no files, no network, no extensions. Raises QueryError.
    """
    import duckdb

    root = layout.runs_root(runs)
    with duckdb.connect(":memory:") as connection:
        tables = {
            "runs": _arrow_table(list_runs(root), RUN_COLUMNS),
            "metrics": _arrow_table(_all_metrics(root), METRIC_COLUMNS),
        }
        for name, rows in tables.items():
            connection.register("rows", rows)
            connection.execute(f"create table {name} as from rows")
            connection.unregister("rows")
        # The second setting also stops the lookup of Python variables at present; the first one always does.
        connection.execute("set python_enable_replacements = false")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            answer = connection.execute(sql)
            rows_found = answer.fetchall()
        except duckdb.Error as error:
            raise QueryError(f"{error}\nthe tables are `runs` and `metrics`; `describe runs` lists columns") from error
        return Table(tuple(column[0] for column in answer.description or ()), tuple(rows_found))


def flatten(values: Mapping[str, Any], prefix: str = "") -> Row:
    """Nested tables as one row: `{"optim": {"lr": 0.1}}` becomes `{"optim_lr": 0.1}`; lists become JSON."""
    row: Row = {}
    for key, value in values.items():
        name = f"{prefix}{key}".replace("-", "_")
        if isinstance(value, Mapping):
            row |= flatten(value, f"{name}_")
        else:
            row[name] = json.dumps(value) if isinstance(value, list) else value
    return row


def summary(run: RunFolder) -> Row:
    """The run's row of `list_runs`. Its state is `damaged` where one of its files cannot be read.

    The best epoch and its val accuracy come from the result; before the run is complete, from the best row so far.
    """
    status, created = _readable(lambda: run.status), _readable(lambda: run.created)
    found_recipe = _readable(lambda: tomllib.loads((run.path / layout.RECIPE).read_text("utf-8")))
    found_rows = _metrics(run)
    found_result = _readable(lambda: (run.result,))  # (None,) before the run is complete
    is_damaged = None in (status, created, found_recipe, found_rows, found_result)
    recipe, rows, result = found_recipe or {}, found_rows or [], found_result[0] if found_result else None
    recipe.pop("schema", None)
    environment = _readable(lambda: run.environment)
    accuracy = result.accuracy if result else {}
    best = best_row(rows) or {}
    last = rows[-1] if rows else {}
    fixed = {
        "id": run.id,
        "name": recipe.get("name"),
        "seed": recipe.get("seed"),
        "hash": _readable(lambda: run.recipe_hash),
        "state": "damaged" if is_damaged or not status else status.state,
        "epochs": last.get("epoch", 0),
        "best_val_accuracy": accuracy.get("val") if result else best.get("val_accuracy"),
        "best_epoch": result.best_epoch if result else best.get("epoch"),
        "test_accuracy": accuracy.get("test"),
        "seconds": last.get("elapsed_seconds"),
        "device": environment and environment.device.name,
        "created": created,
    }
    return {**flatten(recipe), **fixed}


def _readable(read: Callable[[], T]) -> T | None:
    """The result of `read`, or None where that file of the run is missing or damaged."""
    try:
        return read()
    except (OSError, ValueError):  # ValueError: not JSON, not TOML, or our own RunError
        return None


def _metrics(run: RunFolder) -> list[Row] | None:
    return _readable(lambda: run.metrics)


def _all_metrics(root: Path) -> list[Row]:
    runs = map(RunFolder, run_folders(root))
    return [{"run": run.id, **row} for run in runs for row in _metrics(run) or ()]


def _arrow_table(rows: Sequence[Row], first: Sequence[str]) -> "pyarrow.Table":
    """Columns in order of appearance after `first`, each of one type that suits all its values."""
    import pyarrow

    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return pyarrow.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: Sequence[Any]) -> "pyarrow.Array":
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    # A damaged file may have integers of over 64 bits, which fit into no column of numbers.
    huge = int in kinds and any(abs(value) >= 2**63 for value in values if isinstance(value, int))
    if kinds == {int, float} and not huge:
        return pyarrow.array([value if value is None else float(value) for value in values])
    if huge or len(kinds) > 1 or not kinds <= {bool, int, float, str}:
        texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pyarrow.array(texts, pyarrow.string())
    return pyarrow.array(values) if kinds else pyarrow.array(values, pyarrow.string())
