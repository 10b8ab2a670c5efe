"""Rows over many runs, and SQL that sees nothing but them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.errors import RunError
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import EarlyStop
from cnnlab.runs import RunFolder, RunWriter
from cnnlab.runs.earlier import RunIndex
from cnnlab.runs.metrics import best_row
from cnnlab.runs.queries import QueryError, flatten, list_runs, query
from cnnlab.training.bookkeeping import Progress
from made_values import environment_of, result_of


@pytest.fixture
def runs(root: Path) -> Path:
    """Two finished runs with other learning rates, and one that was interrupted before its first epoch."""
    for seed, lr in ((1, 0.01), (2, 0.1)):
        recipe = Recipe.named("simplenn", seed=seed, optim={"lr": lr})
        with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
            for epoch in (1, 2, 3):
                accuracy = (0.5, 0.7, 0.6)[epoch - 1] + seed / 100
                writer.append_metrics({"epoch": epoch, "val_accuracy": accuracy, "elapsed_seconds": 2.0 * epoch})
            accuracy = {"val": 0.6999 + seed / 100, "test": 0.5 + lr}
            writer.finish(result_of(best_epoch=2, accuracy=accuracy))
    recipe = Recipe.named("simplenn-bn")
    with RunWriter.create(root, recipe, environment_of(recipe)):
        pass
    return root


def test_a_row_has_figures_and_recipe(runs: Path) -> None:
    first, second, third = list_runs(runs)
    assert (first["name"], first["seed"], first["state"], first["epochs"]) == ("simplenn", 1, "complete", 3)
    assert (first["best_val_accuracy"], first["best_epoch"]) == (0.7099, 2)
    assert (first["test_accuracy"], first["seconds"], first["device"]) == (0.51, 6.0, "CPU #1")
    assert first["hash"] == Recipe.named("simplenn").hash
    assert (second["optim_lr"], second["arch_name"], second["data_source"]) == (0.1, "simplenn", "cifar10")
    assert (third["state"], third["epochs"], third["best_val_accuracy"]) == ("interrupted", 0, None)


def test_no_runs_is_an_empty_list(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "absent") == []
    assert query(runs=tmp_path, sql="select count(*), max(test_accuracy) from runs").rows == ((0, None),)


def test_damaged_runs_are_listed_with_what_they_have(runs: Path) -> None:
    damaged = sorted(runs.iterdir())[0]
    for name in ("recipe.toml", "metrics.jsonl", "status.json", "environment.json"):
        (damaged / name).write_bytes(b"\xff{\n")
    row = next(row for row in list_runs(runs) if row["id"] == damaged.name)
    assert (row["name"], row["epochs"], row["hash"]) == (None, 0, None)
    assert row["state"] == "damaged"
    assert len(query(runs=runs, sql="select * from runs").rows) == 3


@pytest.mark.parametrize("file", ["recipe.toml", "metrics.jsonl", "status.json", "environment.json", "result.json"])
@pytest.mark.parametrize("content", [b"\xff{\n", b"7\n"])
def test_one_damaged_file_is_shown_and_hides_no_other_run(runs: Path, file: str, content: bytes) -> None:
    damaged = runs / list_runs(runs)[0]["id"]
    (damaged / file).write_bytes(content)
    rows = {row["id"]: row for row in list_runs(runs)}
    assert len(rows) == 3
    assert [name for name, row in rows.items() if row["state"] == "damaged"] == [damaged.name]
    assert len(query(runs=runs, sql="select * from runs").rows) == 3


def test_before_completion_the_best_row_so_far_counts(root: Path) -> None:
    recipe = Recipe.named("simplenn")
    with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
        for epoch, accuracy in ((1, 0.4), (2, 0.6), (3, 0.5)):
            writer.append_metrics({"epoch": epoch, "val_accuracy": accuracy})
        (row,) = list_runs(root)
        assert (row["best_val_accuracy"], row["best_epoch"]) == (0.6, 2)
        writer.finish(result_of(best_epoch=2, accuracy={"val": 0.61}))
    (row,) = list_runs(root)
    assert (row["best_val_accuracy"], row["best_epoch"]) == (0.61, 2)


def test_sql_over_runs_and_metrics(runs: Path) -> None:
    table = query(
        runs=runs,
        sql="select seed, max(val_accuracy) as best from runs join metrics on runs.id = metrics.run "
        "where optim_lr > 0.05 group by seed",
    )
    assert table.columns == ("seed", "best")
    assert table.rows == ((2, pytest.approx(0.72)),), "the curve stays as it was scored while training"


def test_columns_of_mixed_kinds_become_numbers_or_text(root: Path) -> None:
    for val in (5000, 0.1):
        recipe = Recipe.named("simplenn", data={"val": val})
        with RunWriter.create(root, recipe, environment_of(recipe, device={"name": str(val)})):
            pass
    assert query(runs=root, sql="select max(data_val), typeof(any_value(data_val)) from runs").rows == (
        (5000.0, "DOUBLE"),
    )
    recipe = Recipe.named("simplenn")
    with RunWriter.create(root, recipe, environment_of(recipe, device={"name": "gpu"})):
        pass
    assert query(runs=root, sql="select device from runs order by created").rows == (("5000",), ("0.1",), ("gpu",))


def test_wrong_sql_names_the_tables(runs: Path) -> None:
    with pytest.raises(QueryError, match=r"(?s)nothing.*the tables are `runs` and `metrics`"):
        query(runs=runs, sql="select * from nothing")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_text('{path}')",
        "select * from '{path}'",
        "select * from glob('{folder}/*')",
        "copy runs to '{folder}/stolen.csv'",
        "attach '{folder}/other.db'",
        "export database '{folder}/out'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set python_enable_replacements = true",
        "select * from tables",
        "select * from rows",
    ],
)
def test_sql_reaches_no_file_and_no_python_value(runs: Path, tmp_path: Path, statement: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(QueryError):
        query(runs=runs, sql=statement.format(path=secret, folder=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == before


def test_flatten() -> None:
    assert flatten({"a": 1, "b": {"c-d": 2, "e": {"f": [1, 2]}}, "g": {}}) == {
        "a": 1,
        "b_c_d": 2,
        "b_e_f": "[1, 2]",
    }


def test_at_equal_accuracy_the_lower_loss_is_best_then_the_first() -> None:
    rows = [
        {"epoch": e, "val_accuracy": 0.5, "val_loss": loss} for e, loss in ((1, None), (2, 0.3), (3, 0.2), (4, 0.2))
    ]
    assert best_row(rows) == rows[2]
    assert best_row([{"epoch": 1, "val_accuracy": None}]) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.1, 0.2, 0.3])), min_size=1))
def test_the_training_loop_keeps_the_row_that_the_metrics_call_best(
    scores: list[tuple[float, float]],
) -> None:
    progress, rows = Progress(), []
    for epoch, (accuracy, loss) in enumerate(scores, start=1):
        progress = progress.with_validation(epoch, accuracy, loss, EarlyStop())
        rows.append({"epoch": epoch, "val_accuracy": accuracy, "val_loss": loss})
        best = best_row(rows)
        assert best is not None
        assert best["epoch"] == progress.best_epoch


@pytest.mark.parametrize(
    "row",
    [
        "{}", '{"epoch": "x"}', '{"epoch": 1, "val_accuracy": "x"}', '{"epoch": 1, "val_accuracy": 1, "val_loss": []}',
        '{"epoch": 1, "elapsed_seconds": NaN}', '{"epoch": 1, "val_accuracy": 1' + 400 * "0" + "}", 100_000 * "[",
    ],
)  # fmt: skip
def test_a_row_that_is_no_epoch_is_damage_that_names_the_line(runs: Path, row: str) -> None:
    folder = sorted(runs.iterdir())[0]
    (folder / "metrics.jsonl").write_text(f"{row}\n")
    assert [found["state"] for found in list_runs(runs)] == ["damaged", "complete", "complete"]
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 1"):
        _ = RunFolder(folder).metrics


@pytest.mark.parametrize("name", ["environment.json", "status.json", "metrics.jsonl", "recipe.toml"])
def test_a_file_that_cannot_be_read_hides_no_other_run(runs: Path, name: str) -> None:
    folder = sorted(runs.iterdir())[0]
    (folder / name).unlink()
    (folder / name).symlink_to(name)  # a loop
    assert [run.path for run in RunIndex([runs]).all_runs()] == sorted(runs.iterdir())[1:]
    assert len(list_runs(runs)) == (2 if name == "recipe.toml" else 3)


def test_an_integer_of_any_size_makes_a_column_of_text(runs: Path) -> None:
    for value in (2**60, 2**70):
        (sorted(runs.iterdir())[0] / "metrics.jsonl").write_text(f'{{"epoch": 1, "elapsed_seconds": {value}}}\n')
        answer = query(runs=runs, sql="select elapsed_seconds from metrics where elapsed_seconds::double > 100")
        assert answer.rows[0][0] in (float(value), str(value))
