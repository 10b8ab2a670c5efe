"""Rows of runs against the plain files, read by hand."""

import json
from pathlib import Path

import pytest

from cnnlab import CnnlabError, Recipe, Run, load_run
from cnnlab.api import runs


def file(run: Run, name: str) -> dict:
    return json.loads((run.path / name).read_text())


def test_a_row_is_what_the_files_say_and_sorts_by_any_column(root: Path, two_runs: tuple[Run, Run]) -> None:
    rows = runs.list_runs(root, "optim_lr", reverse=True)
    assert [row["id"] for row in rows] == [two_runs[1].path.name, two_runs[0].path.name]
    for row, run in zip(rows, reversed(two_runs), strict=True):
        assert row["test_accuracy"] == file(run, "result.json")["accuracy"]["test"]
        assert row["created"] == file(run, "environment.json")["created"]
        assert row["epochs"] == len((run.path / "metrics.jsonl").read_text().splitlines()) == 2
    assert [row["optim_lr"] for row in runs.list_runs(root)] == [0.01, 0.02], "oldest first"
    with pytest.raises(CnnlabError, match="'optim_lrr'; did you mean 'optim_lr'"):
        runs.list_runs(root, "optim_lrr")
    assert runs.list_runs(root / "nothing") == []


def test_runs_without_a_value_come_last_whichever_way(root: Path, two_runs: tuple[Run, Run], tmp_path: Path) -> None:
    for run in two_runs:
        (tmp_path / run.id).symlink_to(run.path)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "recipe.toml").write_text("")
    for reverse in (False, True):
        assert runs.list_runs(tmp_path, "test_accuracy", reverse)[-1]["id"] == "bare"


def test_two_runs_differ_where_their_recipes_were_made_to(root: Path, two_runs: tuple[Run, Run]) -> None:
    found = runs.compare(two_runs[0].id, two_runs[1].id, root)
    assert found.differences == [("optim.lr", 0.01, 0.02)]
    assert [row["id"] for row in found.rows] == [run.id for run in two_runs]


def test_what_a_recipe_changes_of_its_preset() -> None:
    assert runs.preset_changes(Recipe.named("simplenn")) == []
    assert runs.preset_changes(Recipe.named("simplenn", train={"epochs": 7})) == [("train.epochs", 30, 7)]
    assert runs.preset_changes(Recipe.named("simplenn", name="of my own")) is None


def test_sql_counts_what_python_counts(root: Path, two_runs: tuple[Run, Run]) -> None:
    found = runs.query("select run, sum(epoch) from metrics group by run order by run", root)
    assert found.rows == tuple(sorted((run.id, sum(row["epoch"] for row in run.metrics)) for run in two_runs))
    with pytest.raises(CnnlabError, match="the tables are `runs` and `metrics`"):
        runs.query("select * from nothing", root)


def test_a_run_by_the_beginning_of_its_id_and_its_status(root: Path, run: Run) -> None:
    assert load_run(run.id[:-1] + "1", root).id == run.id
    assert (run.status.state, run.wait().state) == ("complete", "complete")
    assert [update.done for update in run.watch()] == [1.0]
    with pytest.raises(CnnlabError, match="is complete; there is nothing to stop"):
        run.stop()
