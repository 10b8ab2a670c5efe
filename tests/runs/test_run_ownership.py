"""One owner for a run: a second one is refused, a dead one is noticed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder, RunWriter
from cnnlab.runs.ownership import Owner, RunLock, read_owner

HOLD = """
import sys
from pathlib import Path
from cnnlab.runs import RunWriter
writer = RunWriter.reopen(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_other_process(run: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_second_opener_is_refused_naming_the_process(writer: RunWriter) -> None:
    with pytest.raises(RunError, match=rf"in use by process {os.getpid()} on "):
        RunWriter.reopen(writer.path)
    writer.stop("interrupted", "Ctrl-C")
    RunWriter.reopen(writer.path).stop("interrupted", "again")


def test_owner_in_another_process_is_refused_then_found_dead_then_replaced(writer: RunWriter) -> None:
    writer.stop("interrupted", "Ctrl-C")
    run = RunFolder(writer.path)
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


def test_a_process_number_used_again_is_not_the_owner(writer: RunWriter) -> None:
    lock = writer.path / "lock"
    owner = json.loads(lock.read_text())
    assert RunFolder(writer.path).status.state == "running"
    lock.write_text(json.dumps(owner | {"started": owner["started"] - 1}))
    assert RunFolder(writer.path).status.state == "interrupted"
    writer.stop("interrupted", "test")


def test_an_owner_on_another_host_counts_as_alive() -> None:
    assert Owner("another-host", 2**22 + 1, 1).is_alive()
    assert not Owner(os.uname().nodename, 2**22 + 1, 1).is_alive()


def test_a_released_lock_names_nobody(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    owner = read_owner(tmp_path)
    assert owner
    assert owner.pid == os.getpid()
    lock.release()
    lock.release()
    assert read_owner(tmp_path) is None
