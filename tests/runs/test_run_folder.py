"""A run folder from its creation to its completion, written by RunWriter and read back by RunFolder."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnnlab.core.errors import DivergedError, Interrupted, MemoryExceededError, RunError, StorageError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter, find_run, runs_root, write_measurement
from cnnlab.runs.layout import run_id
from made_values import environment_of, result_of


def row(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "step": epoch * 352, "val_accuracy": 0.5 + epoch / 100}


def test_a_new_run_is_whole_and_readable_from_the_start(root: Path, recipe: Recipe) -> None:
    with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
        run = RunFolder(writer.path)
        assert run.id == f"simplenn-s1-{recipe.hash[:8]}-1"
        assert run.recipe == recipe
        assert run.environment.device.kind == "cpu"
        assert run.environment.recipe_hash == recipe.hash
        assert (run.status.state, run.metrics, run.result) == ("running", [], None)
        assert [path.name for path in root.iterdir()] == [run.id]


def test_equal_recipes_get_numbered_folders(root: Path, recipe: Recipe) -> None:
    for number in (1, 2, 3):
        with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
            assert writer.path.name.endswith(f"-{number}")


@pytest.mark.parametrize("name", ["../../etc", "a/b", "<script>", "ü", ".", "", "x" * 300, "a\nb"])
def test_run_ids_are_safe_file_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / run_id(name, 1, "0123456789abcdef", 1)
    folder.mkdir()
    assert folder.parent == tmp_path
    assert folder.name.endswith("-s1-01234567-1")
    assert not folder.name.startswith(".")
    assert folder.name.isascii()


def test_a_root_that_cannot_be_written_fails_before_anything(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        RunWriter.create(tmp_path / "file" / "runs", recipe, environment_of(recipe))


def test_a_failing_creation_leaves_nothing(root: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, calls = os.replace, []

    def fail_third(source: str, target: Path) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_third)
    with pytest.raises(StorageError, match="free some space"):
        RunWriter.create(root, recipe, environment_of(recipe))
    assert list(root.iterdir()) == []


def test_a_run_from_begin_to_end(writer: RunWriter) -> None:
    run = RunFolder(writer.path)
    for epoch in (1, 2):
        writer.append_metrics(row(epoch))
        writer.save_checkpoint({"w": np.full(3, epoch)}, {"step": epoch * 352}, best=epoch == 1)
    logits = np.arange(20, dtype=np.float32).reshape(2, 10)
    writer.write_predictions("test", logits, np.array([3, 4]), np.array([0, 1]))
    writer.finish(result_of(accuracy={"test": 0.75}))
    assert run.metrics == [row(1), row(2)]
    assert (run.checkpoint("last").step, run.checkpoint("best").step) == (704, 352)
    assert (run.status.state, run.complete_result.accuracy) == ("complete", {"test": 0.75})
    found = run.logits("test")
    np.testing.assert_array_equal(found.logits, logits)
    assert (found.labels.tolist(), found.indices.tolist()) == ([3, 4], [0, 1])
    subprocess.run(["sha256sum", "--check", "--quiet", "COMPLETE"], cwd=run.path, check=True)
    with pytest.raises(RunError, match="is complete"):
        RunWriter.reopen(run.path)


def test_predictions_of_unequal_lengths_are_refused(writer: RunWriter) -> None:
    with writer, pytest.raises(ValueError, match="received 2 logits, 3 labels and 2 indices"):
        writer.write_predictions("test", np.zeros((2, 10), np.float32), np.zeros(3, int), np.zeros(2, int))


def test_missing_and_damaged_predictions_say_so(writer: RunWriter) -> None:
    run = RunFolder(writer.path)
    with writer:
        with pytest.raises(RunError, match="it has none"):
            run.logits("test")
        writer.write_predictions("val", np.zeros((1, 2), np.float32), np.zeros(1, int), np.zeros(1, int))
        with pytest.raises(RunError, match="it has val"):
            run.logits("test")
    (run.path / "predictions" / "val.safetensors").write_bytes(b"no")
    with pytest.raises(RunError, match="damaged"):
        run.logits("val")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RuntimeError("broken"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (Interrupted("saved", 130), "interrupted"),
        (DivergedError("NaN at step 7"), "diverged"),
        (MemoryExceededError("the batch does not fit"), "oom"),
        (StorageError("disk full", no_space=True), "no-space"),
        (StorageError("read-only file system"), "failed"),
    ],
)
def test_leaving_by_an_error_records_it_and_lets_go(writer: RunWriter, error: BaseException, state: str) -> None:
    with pytest.raises(type(error)), writer:
        raise error
    status = RunFolder(writer.path).status
    assert status.state == state
    assert type(error).__name__ in status.cause
    RunWriter.reopen(writer.path).stop("oom", "the batch did not fit")
    assert str(RunFolder(writer.path).status) == "oom (the batch did not fit)"


def test_the_first_error_is_not_hidden_by_a_status_that_cannot_be_written(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RuntimeError, match="the cause"), writer:
        raise RuntimeError("the cause")
    assert "status.json" in caplog.text
    assert str(RunFolder(writer.path).status) == "interrupted (owner gone)"


def test_a_torn_last_line_is_passed_over_then_cut_off(writer: RunWriter) -> None:
    writer.append_metrics(row(1))
    writer.stop("interrupted", "power")
    path = writer.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"epoch": 2, "st')
    assert RunFolder(writer.path).metrics == [row(1)]
    with RunWriter.reopen(writer.path) as again:
        again.append_metrics(row(2))
    assert RunFolder(writer.path).metrics == [row(1), row(2)]


def test_a_damaged_line_is_named(writer: RunWriter) -> None:
    with writer:
        writer.append_metrics(row(1))
        writer.append_metrics(row(2))
    path = writer.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"epoch": 2', b"nonsense"))
    with pytest.raises(RunError, match="line 2"):
        _ = RunFolder(writer.path).metrics


def test_not_finite_numbers_become_null(writer: RunWriter) -> None:
    with writer:
        writer.append_metrics({"epoch": 1, "val_loss": float("inf"), "train_loss": float("nan")})
    assert RunFolder(writer.path).metrics == [{"epoch": 1, "val_loss": None, "train_loss": None}]


def test_metrics_after_an_epoch_can_be_dropped(writer: RunWriter) -> None:
    with writer:
        for epoch in (1, 2, 3):
            writer.append_metrics(row(epoch))
        writer.truncate_metrics(1)
        writer.append_metrics(row(2))
    assert RunFolder(writer.path).metrics == [row(1), row(2)]


def test_after_falling_back_the_checkpoint_used_is_the_last_one(writer: RunWriter) -> None:
    with writer:
        for step in (1, 2):
            writer.save_checkpoint({"w": np.zeros(1)}, {"step": step})
        (writer.path / "checkpoints" / "step-00000002" / "state.safetensors").write_bytes(b"")
        assert writer.load_checkpoint().step == 1
        writer.save_checkpoint({"w": np.zeros(1)}, {"step": 2})
        left = {path.name for path in (writer.path / "checkpoints").glob("step-*")}
    assert left == {"step-00000001", "step-00000002-2"}, "the damaged one should go, its fallback stay"


def test_a_run_whose_first_save_was_cut_short_begins_again(writer: RunWriter) -> None:
    writer.stop("interrupted", "before the first save")
    unfinished = writer.path / "checkpoints" / "step-00000001"
    unfinished.mkdir(parents=True)
    (unfinished / ".state.safetensors.x.tmp").write_bytes(b"half")
    with RunWriter.reopen(writer.path) as again:
        assert not RunFolder(again.path).has_weights
        assert not unfinished.exists()
        again.save_checkpoint({"w": np.zeros(1)}, {"step": 1})
        assert RunFolder(again.path).has_weights


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_again(writer: RunWriter) -> None:
    with writer:
        name = writer.save_checkpoint({"w": np.zeros(1)}, {"step": 1}, best=True)
    for file in ("state.safetensors", "manifest.json"):
        (writer.path / "checkpoints" / name / file).unlink()
        with RunWriter.reopen(writer.path) as again:
            assert RunFolder(again.path).has_weights
            with pytest.raises(RunError, match="no intact checkpoint"):
                again.load_checkpoint()


def test_lost_pointers_do_not_cost_several_checkpoints(writer: RunWriter) -> None:
    with writer:
        for step in (1, 2):
            writer.save_checkpoint({"w": np.zeros(1)}, {"step": step}, best=True)
    for which in ("last", "best"):
        (writer.path / "checkpoints" / f"{which}.json").unlink()
    with RunWriter.reopen(writer.path) as again:
        assert again.load_checkpoint().step == 2


def test_reopening_sweeps_temporary_files(writer: RunWriter) -> None:
    writer.stop("interrupted", "kill")
    leftover = writer.path / ".result.json.abc.tmp"
    leftover.write_text("half")
    with RunWriter.reopen(writer.path):
        assert not leftover.exists()


def test_a_missing_run_cannot_be_reopened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder at"):
        RunWriter.reopen(tmp_path)


def test_complete_without_its_marker_is_not_complete(writer: RunWriter) -> None:
    writer.finish(result_of())
    (writer.path / "COMPLETE").unlink()
    assert str(RunFolder(writer.path).status) == "interrupted (owner gone)"


def test_a_damaged_status_is_a_run_error(writer: RunWriter) -> None:
    writer.stop("interrupted", "test")
    (writer.path / "status.json").write_text(json.dumps([1]))
    with pytest.raises(RunError, match="damaged"):
        _ = RunFolder(writer.path).status


def test_find_run_by_path_id_prefix_and_last(root: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for name in ("zebra", "apple", "apricot"):
        with RunWriter.create(root, recipe.model_copy(update={"name": name}), environment_of(recipe)) as writer:
            ids.append(writer.path.name)
    assert find_run(root, str(root / ids[0])).id == ids[0]
    assert find_run(root, ids[1]).id == ids[1]
    assert find_run(root, "app").id == ids[1]
    assert find_run(root, "last").id == ids[2]
    with pytest.raises(RunError, match=r"'ap' begins 2 runs: apple-.*apricot-"):
        find_run(root, "ap")
    with pytest.raises(RunError, match="did you mean 'zebra-"):
        find_run(root, ids[0].replace("zebra", "zbera"))
    with pytest.raises(RunError, match="no runs in"):
        find_run(root / "absent", "last")


@pytest.mark.parametrize("file", ["environment.json", "status.json"])
@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"created": 5}', None])
def test_a_damaged_run_is_not_the_last(
    root: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture, file: str, content: str | None
) -> None:
    paths = []
    for _ in range(2):
        with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
            paths.append(writer.path)
    assert find_run(root, "last").path == paths[1]
    (paths[1] / file).unlink() if content is None else (paths[1] / file).write_text(content)
    assert find_run(root, "last").path == paths[0]
    assert paths[1].name in caplog.text
    (paths[0] / file).write_text("")
    with pytest.raises(RunError, match=rf"(?s)all runs in .* are damaged.*{file}"):
        find_run(root, "last")


def test_runs_root_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNNLAB_RUNS", raising=False)
    assert runs_root() == Path("runs")
    monkeypatch.setenv("CNNLAB_RUNS", "/some/place")
    assert runs_root() == Path("/some/place")
    assert runs_root(Path("here")) == Path("here")


def test_a_measurement_is_kept_beside_a_finished_run_whole_or_not_at_all(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(writer.path)
    with pytest.raises(RunError, match="resume` completes it"):
        write_measurement(run, "landscape", {"numbers": {"nonconvexity": 0.1}})
    writer.append_metrics(row(1))
    writer.finish(result_of())
    assert run.measurement("landscape") is None
    first = {"settings": {"points": 21}, "numbers": {"nonconvexity": 0.1}}
    path = write_measurement(run, "landscape", first)
    assert path == run.path / "inspect" / "landscape.json"

    def refuse(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match="free some space"):
        write_measurement(run, "landscape", {"numbers": {}})
    assert run.measurement("landscape") == first
    assert [file.name for file in path.parent.iterdir()] == ["landscape.json"]
    subprocess.run(["sha256sum", "--check", "--quiet", "COMPLETE"], cwd=run.path, check=True)
    path.write_text("torn")
    with pytest.raises(RunError, match="damaged"):
        run.measurement("landscape")
