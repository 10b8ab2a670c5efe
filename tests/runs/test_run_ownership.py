"""One owner for a folder: a second one is refused, a dead one is noticed, one that was replaced writes no more."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.core.errors import CnnlabError, RunError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter, ownership
from cnnlab.runs.ownership import FolderLock, TakenOverError, is_owned, read_owner
from made_values import environment_of, result_of

HOLD = """
import sys
from pathlib import Path
from cnnlab.runs import RunWriter
writer = RunWriter.reopen(Path(sys.argv[1]))
print("held", flush=True)
for line in sys.stdin:
    try:
        writer.append_metrics({"epoch": 1, "late": line.strip()})
        print("written", flush=True)
    except ValueError as error:
        print(type(error).__name__, error.exit_code, error, flush=True)
"""


@contextmanager
def held_by_other_process(run: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*before, sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def stopped_run(writer: RunWriter) -> RunFolder:
    writer.stop("interrupted", "Ctrl-C")
    return RunFolder(writer.path)


def change_owner(run: Path, **values: Any) -> None:
    """As if another process had written the lock file, on a file system that hides its lock from us."""
    lock = run / "lock"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | values))


def age(run: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(run / "lock", (then, then))


def test_second_opener_is_refused_naming_the_process(writer: RunWriter) -> None:
    with pytest.raises(RunError, match=rf"in use by process {os.getpid()} on "):
        RunWriter.reopen(writer.path)
    writer.stop("interrupted", "Ctrl-C")
    RunWriter.reopen(writer.path).stop("interrupted", "again")


def test_owner_in_another_process_is_refused_then_found_dead_then_replaced(writer: RunWriter) -> None:
    run = stopped_run(writer)
    with held_by_other_process(writer.path) as process:
        with pytest.raises(RunError, match=f"in use by process {process.pid} "):
            RunWriter.reopen(writer.path)
        assert run.status.state == "running"
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet collected
        assert str(run.status) == "interrupted (owner gone)"
    assert str(run.status) == "interrupted (owner gone)"
    with RunWriter.reopen(writer.path):
        assert run.status.state == "running"


def test_a_released_lock_names_nobody(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    owner = read_owner(tmp_path)
    assert owner
    assert owner.pid == os.getpid()
    lock.release()
    lock.release()
    assert read_owner(tmp_path) is None
    assert not is_owned(tmp_path)


# ------------------------------------------------------------------------------------------ who is alive


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change a host's name")
def test_a_host_that_changes_its_name_notices_a_killed_owner(writer: RunWriter) -> None:
    """With a real other name: the owner runs in a namespace where the host is called otherwise."""
    run = stopped_run(writer)
    renamed = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    with held_by_other_process(writer.path, *renamed) as process:
        owner = read_owner(writer.path)
        assert owner is not None
        assert owner.host == "elsewhere"
        assert run.status.state == "running"
        process.kill()
        process.wait()
        assert str(run.status) == "interrupted (owner gone)"
    RunWriter.reopen(writer.path).stop("interrupted", "taken at once")


def test_the_lock_file_of_an_older_version_is_understood(writer: RunWriter) -> None:
    run = stopped_run(writer)
    with held_by_other_process(writer.path) as process:
        lock = writer.path / "lock"
        owner = json.loads(lock.read_text())
        for host in (owner["host"], "another-host"):
            lock.write_text(json.dumps({"host": host, "pid": owner["pid"], "started": owner["started"]}))
            assert run.status.state == "running"
        process.kill()
        process.wait()
        assert str(run.status) == "interrupted (owner gone)"
    RunWriter.reopen(writer.path).stop("interrupted", "taken at once")


def test_a_copy_made_while_the_run_went_on_is_not_running(writer: RunWriter, tmp_path: Path) -> None:
    shutil.copytree(writer.path, tmp_path / "copy")
    assert RunFolder(writer.path).status.state == "running"
    assert str(RunFolder(tmp_path / "copy").status) == "interrupted (owner gone)"
    writer.stop("interrupted", "test")


def test_an_owner_elsewhere_is_judged_by_its_heartbeat(writer: RunWriter) -> None:
    """Its lock is not seen here, as on a file system whose locks are local to each machine."""
    run = stopped_run(writer)
    lock = FolderLock(writer.path)
    content = (writer.path / "lock").read_text()
    lock.release()
    (run.path / "status.json").write_text('{"state": "running", "cause": "", "updated": ""}')
    (run.path / "lock").write_text(content)
    change_owner(run.path, host="elsewhere", boot="another")
    assert run.status.state == "running"
    with pytest.raises(RunError, match=r"in use by process .* on elsewhere.*noticed after 30 seconds"):
        RunWriter.reopen(run.path)
    age(run.path, ownership.STALE_SECONDS / 2)
    assert run.status.state == "running"
    age(run.path, ownership.STALE_SECONDS + 1)
    assert str(run.status) == "interrupted (owner gone)"
    RunWriter.reopen(run.path).stop("interrupted", "taken over")


def test_a_heart_beats_while_the_lock_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "BEAT_SECONDS", 0.01)
    lock = FolderLock(tmp_path)
    age(tmp_path, 1000)
    end = time.monotonic() + 60
    while time.time() - (tmp_path / "lock").stat().st_mtime > 100:
        assert time.monotonic() < end, "no heartbeat"
        time.sleep(0.01)
    lock.release()
    age(tmp_path, 1000)
    time.sleep(0.1)
    assert time.time() - (tmp_path / "lock").stat().st_mtime > 900


@pytest.mark.parametrize(("seconds", "state"), [(1800.0, "running"), (4000.0, "interrupted")])
def test_where_nothing_can_be_written_an_hour_is_allowed(
    seconds: float, state: str, writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError(errno.EROFS, "read-only")

    run = RunFolder(writer.path)
    change_owner(run.path, host="elsewhere", boot="another")
    monkeypatch.setattr(ownership, "_is_locked", lambda descriptor: False)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    age(run.path, seconds)
    assert run.status.state == state


def test_without_flock_process_and_boot_decide(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    run, own = RunFolder(writer.path), json.loads((writer.path / "lock").read_text())
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert run.status.state == "running"
    change_owner(run.path, started=own["started"] - 1)  # its number was given to another process
    assert run.status.state == "interrupted"
    change_owner(run.path, started=own["started"], pid=2**22 + 1)
    assert run.status.state == "interrupted"
    change_owner(run.path, pid=own["pid"], boot="the one before")
    age(run.path, 100)
    assert run.status.state == "interrupted"


def test_readers_never_keep_a_writer_away(writer: RunWriter) -> None:
    """They hold the lock, shared, for an instant; whoever wants to write must not take them for writers."""
    run = stopped_run(writer)
    with (run.path / "lock").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        end = threading.Timer(0.1, fcntl.flock, [reader, fcntl.LOCK_UN])
        end.start()
        FolderLock(run.path).release()
        end.join()


# ---------------------------------------------------------------------------------------- writing late


@pytest.mark.slow
def test_a_stalled_owner_that_was_replaced_writes_no_more(writer: RunWriter) -> None:
    """Twenty times: stopped with SIGSTOP, taken over as another machine would, woken: its row does not arrive."""
    run = stopped_run(writer)
    for _ in range(20):
        with held_by_other_process(run.path) as process:
            assert process.stdin
            assert process.stdout
            os.kill(process.pid, signal.SIGSTOP)
            process.stdin.write("late\n")
            process.stdin.flush()
            change_owner(run.path, host="elsewhere", token="another")
            os.kill(process.pid, signal.SIGCONT)
            answer = process.stdout.readline()
            assert answer.startswith("TakenOverError 6 ")
            assert "on elsewhere has taken it over" in answer
    assert run.metrics == []


def _new_lock_file(run: Path) -> None:
    """What a person does who gives up on a process that hangs."""
    (run / "lock").unlink()
    FolderLock(run)  # never released


def _another_token(run: Path) -> None:
    change_owner(run, host="elsewhere", token="another")


@pytest.mark.parametrize("take", [_new_lock_file, _another_token])
@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.append_metrics({"epoch": 1}),
        lambda writer: writer.truncate_metrics(0),
        lambda writer: writer.write_splits({}),
        lambda writer: writer.save_checkpoint({"w": np.zeros(2)}, {"step": 1}),
        lambda writer: writer.write_predictions("test", np.zeros((1, 2)), np.zeros(1), np.zeros(1)),
        lambda writer: writer.finish(result_of()),
        lambda writer: writer.stop("interrupted", "late"),
    ],
)
def test_nothing_is_written_after_another_took_over(
    take: Callable[[Path], None], write: Callable[[RunWriter], None], root: Path, recipe: Recipe
) -> None:
    before: dict[str, bytes] = {}

    def train() -> None:
        with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
            take(writer.path)
            before.update(_content(writer.path))
            write(writer)

    with pytest.raises(TakenOverError):
        train()
    assert _content(next(root.iterdir())) == before


def test_a_checkpoint_is_not_pointed_at_when_the_run_is_lost_meanwhile(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnlab.runs import checkpoints

    def sync(folder: Path) -> None:
        _another_token(writer.path)

    monkeypatch.setattr(checkpoints, "sync_folder", sync)
    with pytest.raises(TakenOverError):
        writer.save_checkpoint({"w": np.zeros(2)}, {"step": 1}, best=True)
    assert not list((writer.path / "checkpoints").iterdir())


def _content(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_what_is_refused_is_a_documented_error() -> None:
    assert issubclass(TakenOverError, CnnlabError)
    assert TakenOverError("").exit_code == 6
