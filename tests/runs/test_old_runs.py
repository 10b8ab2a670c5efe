"""Runs that commit 58f1630 trained are listed, shown, opened, resumed and found: three of them lie in `old_runs`.

Its own code made every number that is expected here: stored logits, results, and the curve of the same training never
stopped. `old-stopped` has averaged weights, dropout, batch normalisation and a residual block; its best checkpoint is
not its last.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnlab.core.errors import RunError
from cnnlab.data import load
from cnnlab.deploy.predictor import Predictor
from cnnlab.launch.one import resume
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder, find_run
from cnnlab.runs.earlier import RunIndex, furthest
from cnnlab.runs.queries import list_runs, query
from cnnlab.study.definition import Study
from cnnlab.study.record import read_study

STORED = Path(__file__).parent / "old_runs"
NEVER_STOPPED = json.loads((STORED / "never-stopped.json").read_text())
COMPLETE = ("old-with-val", "old-without-val")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy: reading must not, and resuming may, change them."""
    return Path(shutil.copytree(STORED, tmp_path / "runs"))


def test_they_are_listed(old: Path) -> None:
    rows = {row["name"]: row for row in list_runs(old)}
    states = {name: (row["state"], row["epochs"], row["best_epoch"]) for name, row in rows.items()}
    assert states == {
        "old-with-val": ("complete", 4, 3),
        "old-without-val": ("complete", 2, 2),
        "old-stopped": ("interrupted", 2, 2),
    }
    for name, row in rows.items():
        stored = json.loads((old / row["id"] / "environment.json").read_text())
        assert (row["hash"], row["device"]) == (stored["recipe_hash"], stored["device"]["name"])
        assert row["created"] == stored["created"]
        assert row["hash"] == RunFolder(old / row["id"]).recipe.hash, f"{name} would not be found any more"
    assert "schema" not in query(runs=old, sql="select * from runs").columns


@pytest.mark.parametrize("name", COMPLETE)
def test_the_network_that_was_scored_answers_as_it_did(old: Path, name: str) -> None:
    """The best by val, not the last; without val the last. The logits are those that were stored then."""
    run = find_run(old, f"{name}-")
    stored, test = run.logits("test"), load("shapes").test
    assert test is not None
    logits = Predictor.from_run(run).logits(test.images[stored.indices])
    np.testing.assert_allclose(logits, stored.logits, atol=1e-4)
    share = float((logits.argmax(1) == stored.labels).mean())
    assert share == pytest.approx(run.complete_result.accuracy["test"])


def test_the_stopped_one_goes_on_to_its_end(old: Path) -> None:
    """From the middle of an epoch. Draws of dropout may change between versions, so the curve agrees nearly."""
    run = find_run(old, "old-stopped")
    before = run.metrics
    done = resume(run, Options(device="cpu", threads=1, compile="off"))
    rows, expected = done.metrics, NEVER_STOPPED["rows"]
    assert rows[: len(before)] == before
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows] == [
        (row["epoch"], row["step"], row["lr"]) for row in expected
    ]
    for row, same in zip(rows[len(before) :], expected[len(before) :], strict=True):
        # Other draws of dropout move these by 0.0006. Lost averages move the loss on val by 0.017, lost momentum by
        # 0.013, a lost count of updates by 0.003; beginning again, the loss on train by 1.7.
        assert row["train_loss"] == pytest.approx(same["train_loss"], abs=0.002)
        assert row["val_loss"] == pytest.approx(same["val_loss"], abs=0.002)
    result = done.result
    assert done.folder.status.state == "complete"
    assert result.accuracy["val"] == pytest.approx(max(row["val_accuracy"] for row in rows))
    assert done.folder.recipe.hash == done.folder.environment.recipe_hash


def test_a_study_finds_the_complete_ones_by_hash(old: Path) -> None:
    recipes = {name: find_run(old, f"{name}-").recipe for name in COMPLETE}
    arms = [
        {"name": name, "set": recipe.model_dump(mode="json", exclude={"seed", "name"}, exclude_none=True)}
        for name, recipe in recipes.items()
    ]
    study = Study.from_dict(
        {
            "name": "old",
            "question": "Are they found?",
            "base": "demo",
            "seeds": [1],
            "arm": arms,
            "claim": [{"left": "old-with-val", "relation": ">", "right": "old-without-val", "metric": "test"}],
        }
    )
    standing = read_study(study, old)
    assert {arm: [run.id for run in runs.values()] for arm, runs in standing.finished.items()} == {
        name: [find_run(old, f"{name}-").id] for name in COMPLETE
    }
    (verdict,) = standing.verdicts()
    assert verdict.effect == pytest.approx(0.13 - 0.111)
    assert standing.notes == ["not recorded, so not known: host, workers of 2 runs"]


@pytest.mark.parametrize("name", ["environment.json", "result.json", "status.json", "recipe.toml", "metrics.jsonl"])
def test_an_index_goes_on_without_a_damaged_run_and_says_which(
    old: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = find_run(old, "old-with-val-")
    recipe_hash = run.recipe.hash
    (run.path / name).write_text("[\n{}\n")
    index = RunIndex([old])
    assert furthest(index.runs(recipe_hash)) is None
    assert len(index.all_runs()) == 2
    index.refresh()
    assert len(index.all_runs()) == 2
    assert caplog.text.count(f"run {run.id} is ignored") == 1


def test_a_damaged_run_cannot_be_resumed(old: Path) -> None:
    run = find_run(old, "old-stopped")
    (run.path / "environment.json").write_text("{}")
    with pytest.raises(RunError, match="is damaged"):
        resume(run, Options(device="cpu", threads=1, compile="off"))
