"""Watching from the folder alone: what a writer leaves is told once, in order, to each watcher, and the end as well."""

import json
import threading
from pathlib import Path

import pytest

from cnnlab.core.errors import RunError, StorageError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter, request_stop
from cnnlab.runs.earlier import RunIndex
from cnnlab.runs.queries import list_runs
from cnnlab.runs.reader import find_run
from cnnlab.runs.watch import Update, watch
from made_values import environment_of, result_of

RECIPE = Recipe.named("demo", train={"epochs": 4})


def epochs(updates: list[Update]) -> list[int]:
    return [row["epoch"] for update in updates for row in update.rows]


def test_two_watchers_are_told_every_epoch_once_and_the_end(writer: RunWriter) -> None:
    run, told = RunFolder(writer.path), ([], [])  # type: tuple[list[Update], list[Update]]
    threads = [threading.Thread(target=lambda mine=mine: mine.extend(watch(run, every=0.01))) for mine in told]
    for thread in threads:
        thread.start()
    for epoch in range(1, 31):
        writer.append_metrics({"epoch": epoch})
    writer.stop("diverged", "loss is nan")
    for thread in threads:
        thread.join(20)
    for mine in told:
        assert epochs(mine) == list(range(1, 31))
        assert mine[0].status.state in ("running", "diverged")
        assert (mine[-1].status.state, mine[-1].status.cause) == ("diverged", "loss is nan")
        assert [update.status.state for update in mine[:-1]] == ["running"] * (len(mine) - 1)


def test_an_epoch_that_ends_while_somebody_looks_is_told(writer: RunWriter) -> None:
    class EndsMeanwhile(RunFolder):
        @property
        def metrics(self) -> list[dict]:
            rows = super().metrics
            if not rows:
                writer.append_metrics({"epoch": 1})
                writer.stop("interrupted", "")
            return rows

    updates = list(watch(EndsMeanwhile(writer.path), every=0))
    assert epochs(updates) == [1]
    assert updates[-1].status.state == "interrupted"


def test_what_is_done_counts_epochs_and_steps(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RECIPE, environment_of(RECIPE))
    updates = watch(RunFolder(writer.path), every=0)
    assert next(updates) == Update(RunFolder(writer.path).status, (), 0.0)
    writer.write_progress({"epoch": 1, "step_in_epoch": 3, "steps_per_epoch": 6})
    assert next(updates).done == pytest.approx(0.5 / 4)
    writer.append_metrics({"epoch": 1})
    assert next(updates).done == pytest.approx(1 / 4), "the epoch's end counts, though the progress is older"
    writer.finish(result_of())
    assert next(updates).done == 1.0, "early stopping: complete is complete"
    assert next(updates, None) is None
    assert not (writer.path / "progress.json").exists()


def test_epochs_known_already_are_not_told_again_also_where_they_are_repeated(writer: RunWriter) -> None:
    for epoch in (1, 2, 3):
        writer.append_metrics({"epoch": epoch})
    updates = watch(RunFolder(writer.path), every=0, since=2)
    assert epochs([next(updates)]) == [3]
    writer.truncate_metrics(1)  # as a resume from an earlier checkpoint does
    writer.append_metrics({"epoch": 2})
    writer.append_metrics({"epoch": 3})
    writer.append_metrics({"epoch": 4})
    assert epochs([next(updates)]) == [4]
    writer.stop("interrupted", "")


def test_a_stop_is_asked_of_whoever_writes_and_forgotten_by_the_next(writer: RunWriter) -> None:
    run = RunFolder(writer.path)
    assert not writer.is_asked_to_stop
    request_stop(run)
    request_stop(run)
    assert writer.is_asked_to_stop
    writer.stop("interrupted", "asked")
    with pytest.raises(RunError, match=r"is interrupted \(asked\); there is nothing to stop"):
        request_stop(run)
    with RunWriter.reopen(run.path) as again:
        assert not again.is_asked_to_stop


def test_a_request_to_a_killed_session_does_not_stop_the_next(writer: RunWriter) -> None:
    request_stop(RunFolder(writer.path))
    writer._lock.release()  # what a kill does
    with RunWriter.reopen(writer.path) as again:
        assert not again.is_asked_to_stop


def test_a_run_that_is_starting_is_listed_found_and_known_by_its_experiment(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RECIPE)
    run = find_run(tmp_path, "last")
    assert str(run.status) == "running (starting)"
    (row,) = list_runs(tmp_path)
    assert (row["id"], row["state"], row["hash"]) == (run.id, "running", RECIPE.hash)
    assert row["created"] == json.loads((run.path / "status.json").read_text())["updated"]
    assert [one.id for one in RunIndex([tmp_path]).runs(RECIPE.hash)] == [run.id]
    writer.write_environment(environment_of(RECIPE))
    assert str(run.status) == "running"
    assert run.environment.recipe_hash == RECIPE.hash
    writer.stop("interrupted", "")


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"epoch": 1, "step_in_epoch": 1, "steps_per_epoch": 0}',
        '{"epoch": "x", "step_in_epoch": 1}',
        "[]",
    ],
)
def test_progress_that_is_damaged_is_none(writer: RunWriter, content: str) -> None:
    (writer.path / "progress.json").write_text(content)
    assert next(watch(RunFolder(writer.path))).done == 0.0


def test_what_cannot_be_removed_is_a_storage_error_and_frees_the_run(writer: RunWriter) -> None:
    (writer.path / "stop").mkdir()
    with pytest.raises(StorageError, match="stop"):
        writer.stop("failed", "for the test")
    (writer.path / "stop").rmdir()
    RunWriter.reopen(writer.path).stop("failed", "it was free")
