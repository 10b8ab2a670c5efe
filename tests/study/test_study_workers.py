"""How many workers, on which cores; and real ones, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.runs import RunFolder
from cnnlab.runs.reader import run_folders
from cnnlab.study.worker import Job
from cnnlab.study.workers import THREADS_POWER, choose_workers, divide, share_cores, start_worker


@pytest.mark.parametrize(
    ("cells", "cores", "workers"),
    [(0, 4, 1), (1, 2, 1), (2, 2, 2), (3, 2, 1), (4, 2, 2), (24, 2, 2), (1, 16, 1), (16, 16, 16), (24, 16, 8)],
)  # fmt: skip
def test_as_many_workers_as_finish_first(cells: int, cores: int, workers: int) -> None:
    assert choose_workers(cells, cores) == workers


@given(cells=st.integers(1, 60), cores=st.integers(1, 64))
def test_no_other_number_of_workers_is_faster(cells: int, cores: int) -> None:
    def seconds(workers: int) -> float:
        return -(-cells // workers) / (cores // workers) ** THREADS_POWER

    assert (
        seconds(choose_workers(cells, cores))
        <= min(seconds(one) for one in range(1, min(cells, cores) + 1)) + 1e-9
    )


def test_memory_limits_the_workers() -> None:
    assert choose_workers(24, 16, memory=5 * 2**30) == 3
    assert choose_workers(24, 16, memory=0) == 1


@given(cores=st.integers(1, 20), workers=st.integers(1, 30))
def test_shares_are_equal_and_apart(cores: int, workers: int) -> None:
    shares = share_cores(range(cores), workers)
    assert len(shares) == workers
    assert {len(share) for share in shares} == {cores // workers}
    taken = [core for share in shares for core in share]
    assert len(taken) == len(set(taken))


def test_threads_that_are_asked_for_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.study.workers.usable_cores", lambda: [0, 1, 2, 3])
    assert (divide("auto", 20).workers, divide("auto", 20).threads) == (4, 1)
    assert (divide("auto", 20, threads=2).workers, divide("auto", 20, threads=2).threads) == (2, 2)
    assert (divide(2, 20).shares, divide(2, 20).threads) == (((0, 1), (2, 3)), 2)
    assert (divide(8, 20).shares[0], divide(8, 20).threads) == ((), 1)
    assert divide(8, 3).workers == 3


def job(runs: Path, **changes: object) -> Job:
    from cnnlab.recipe import Recipe

    recipe = Recipe.named("demo", data={"train_limit": 640}, train={"epochs": 1000})
    values = {
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "resume": None,
        "runs": str(runs),
        "device": "cpu",
        "threads": 1,
        "compile": "off",
        "data_dir": None,
        "cores": (),
        "command": ("cnnlab", "study", "run", "mine"),
    }
    return Job(**{**values, **changes})  # type: ignore[arg-type]


def wait_until(condition, seconds: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def epochs_done(runs: Path) -> int:
    return max((len(RunFolder(path).metrics) for path in run_folders(runs)), default=0)


_PARENT = """
import sys
from pathlib import Path
from cnnlab.study.worker import Job
from cnnlab.study.workers import start_worker
start_worker(Job.from_line(sys.argv[1].encode()), Path(sys.argv[2]))
print("started", flush=True)
sys.stdin.read()
"""


def test_a_worker_saves_and_ends_when_the_study_is_killed(tmp_path: Path) -> None:
    """Killed with SIGKILL, so that no handler of the study can tell its worker."""
    runs = tmp_path / "runs"
    words = [sys.executable, "-c", _PARENT, json.dumps(vars(job(runs))), str(tmp_path / "log")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as study:
        assert study.stdout is not None
        assert study.stdout.readline() == b"started\n"
        wait_until(lambda: epochs_done(runs) >= 1)
        (path,) = run_folders(runs)
        owner = json.loads((path / "lock").read_text())["pid"]
        os.kill(study.pid, signal.SIGKILL)
    run = RunFolder(path)
    wait_until(lambda: run.status.state != "running")
    assert str(run.status).startswith(
        "interrupted (Interrupted"
    )  # said by the worker itself, after it had saved
    assert run.checkpoint("last").meta["step"] > 0
    wait_until(lambda: not Path(f"/proc/{owner}").exists())
    assert run.environment.command == ("cnnlab", "study", "run", "mine")


def test_a_worker_says_what_is_wrong_and_how(tmp_path: Path) -> None:
    bad = job(tmp_path / "runs")
    bad.recipe["arch"] = {"layers": "flatten | linear 3"}
    log = tmp_path / "logs" / "one.log"
    worker = start_worker(bad, log)
    wait_until(lambda: worker.poll() is not None)
    assert worker.poll() == 2
    assert "end it with `linear 10`" in log.read_text()
