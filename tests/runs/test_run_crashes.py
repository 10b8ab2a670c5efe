"""Kill -9 and a full disk inside a save: the previous checkpoint or the new one always loads."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.core.errors import StorageError
from cnnlab.runs import checkpoints
from cnnlab.runs.reader import RunFolder
from cnnlab.runs.writer import RunWriter
from made_values import result_of

HARNESS = Path(__file__).with_name("crash_harness.py")


def run_harness(*arguments: str) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(HARNESS), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def test_kill_at_every_file_operation_of_a_save_keeps_the_old_or_the_new_checkpoint() -> None:
    report = run_harness("each")
    assert report["problems"] == []
    assert report["exit"] == 0
    assert report["points"] > 20, "the harness did not see the operations of a save"


def test_kill_at_every_file_operation_of_the_first_save_leaves_no_checkpoint_or_a_whole_one() -> None:
    report = run_harness("first")
    assert report["problems"] == []
    assert report["exit"] == 0
    assert report["points"] > 15, "the harness did not see the operations of a save"


def test_harness_sees_a_save_that_loses_checkpoints() -> None:
    assert run_harness("each", "--bug")["problems"]


def test_kill_at_random_instants_loses_no_acknowledged_checkpoint() -> None:
    report = run_harness("random", "15")
    assert report["problems"] == []
    assert report["most_saved"] > 2, "every kill came before the second save"


def fail_growth_from(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    """From the `number`-th operation that needs space on, all of them fail, as on a full disk."""
    count = 0

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count >= number:
                raise OSError(code, os.strerror(code))
            return original(*args, **kwargs)

        return counted

    for name in ("fsync", "replace", "mkdir", "fdopen"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))


def arrays_of(step: int) -> dict[str, np.ndarray]:
    return {"weights": np.full(100, step, np.float32)}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_full_disk_at_every_operation_fails_the_save_and_keeps_what_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    checkpoints.save(folder, arrays_of(1), {"step": 1}, best=True)
    failures = 0
    for number in range(1, 100):
        before = checkpoints.load(folder, "last").step
        with monkeypatch.context() as patch:
            fail_growth_from(patch, number, code)
            try:
                checkpoints.save(folder, arrays_of(before + 1), {"step": before + 1}, best=True)
            except StorageError:
                failures += 1
            else:
                break
        assert not list(folder.rglob("*.tmp"))
        assert all((path / checkpoints.MANIFEST).exists() for path in folder.glob("step-*"))
        found = checkpoints.load(folder, "last")
        assert found.step in (before, before + 1)
        assert checkpoints.load(folder, "best").step >= found.step, "the last one was the best one"
        np.testing.assert_array_equal(found.arrays["weights"], arrays_of(found.step)["weights"])
    assert failures > 10
    assert checkpoints.load(folder, "last").step == before + 1


def test_a_metrics_row_that_does_not_fit_leaves_the_file_as_it_was(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append_metrics({"epoch": 1, "lr": 0.1})
    with monkeypatch.context() as patch:
        fail_growth_from(patch, 1, errno.ENOSPC)
        with pytest.raises(StorageError, match="free some space"):
            writer.append_metrics({"epoch": 2, "lr": 0.1})
    writer.append_metrics({"epoch": 2, "lr": 0.2})
    assert RunFolder(writer.path).metrics == [{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.2}]
    writer.stop("interrupted", "test")


def test_a_run_that_cannot_be_finished_is_not_complete(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, renamed = os.replace, []

    def refuse_the_marker(source: str, target: Path) -> None:
        if target.name == "COMPLETE":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        renamed.append(target.name)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse_the_marker)
        with pytest.raises(StorageError, match="COMPLETE"):
            writer.finish(result_of())
    assert renamed == ["result.json", "status.json"]
    assert RunFolder(writer.path).status.state == "running"
    assert RunFolder(writer.path).result is None
    writer.finish(result_of())
    assert RunFolder(writer.path).status.state == "complete"


def test_a_save_syncs_before_and_after_each_rename_and_removes_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killing a process keeps the page cache, so what power loss would do is asserted as an order."""
    for step in (1, 2):
        checkpoints.save(folder, arrays_of(step), {"step": step}, best=True)
    events: list[str] = []

    def record(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            events.append(f"rename {Path(args[1]).name}" if name == "replace" else name)
            return original(*args, **kwargs)

        return recorded

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "unlink"):
            patch.setattr(os, name, record(name, getattr(os, name)))
        checkpoints.save(folder, arrays_of(3), {"step": 3}, best=True)

    def written(file: str) -> list[str]:
        return ["fsync", f"rename {file}", "fsync"]

    assert events[:7] == [*written("state.safetensors"), *written("manifest.json"), "fsync"]
    assert events[7:13] == [*written("best.json"), *written("last.json")]
    assert set(events[13:]) == {"unlink"}
