"""How many workers, on which cores; and real ones, which train several jobs, are stopped, fail and are killed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.cores import usable_cores
from cnnlab.launch.launcher import Failure, Job, Slot
from cnnlab.launch.local import THREADS_POWER, LocalLauncher, choose_workers, local_slots, split_cores
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder
from cnnlab.runs.reader import run_folders


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

    assert seconds(choose_workers(cells, cores)) <= min(seconds(one) for one in range(1, min(cells, cores) + 1)) + 1e-9


def test_memory_limits_the_workers() -> None:
    assert choose_workers(24, 16, memory=5 * 2**30) == 3
    assert choose_workers(24, 16, memory=0) == 1


@given(cores=st.integers(1, 20), workers=st.integers(1, 30))
def test_parts_are_equal_and_apart(cores: int, workers: int) -> None:
    parts = split_cores(range(cores), workers)
    assert len(parts) == workers
    assert {len(part) for part in parts} == {cores // workers}
    taken = [core for part in parts for core in part]
    assert len(taken) == len(set(taken))


def test_threads_that_are_asked_for_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.launch.local.usable_cores", lambda: [0, 1, 2, 3])
    assert [(slot.number, slot.threads) for slot in local_slots("auto", 20)] == [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
    ]
    assert [slot.threads for slot in local_slots("auto", 20, threads=2)] == [2, 2]
    assert local_slots(2, 20, memory=10) == (Slot(0, (0, 1), 2, memory=5), Slot(1, (2, 3), 2, memory=5))
    assert [(slot.cores, slot.threads) for slot in local_slots(8, 20)] == [((), 1)] * 8
    assert len(local_slots(8, 3)) == 3


# ------------------------------------------------------------------------------------------------- real workers

SLOT = Slot(0, tuple(usable_cores()[:1]), 1, "cpu")


def job(folder: Path, changes: dict[str, Any], *, threads: int | None = 1, **values: Any) -> Job:
    """Trains `demo` with some changes, a few steps an epoch, in `folder`/runs."""
    recipe = Recipe.named("demo", **{"data": {"train_limit": 256, "val": 100}, **changes})
    ready = Job(
        name="a cell",
        recipe=recipe.model_dump(mode="json", exclude_none=True),
        resume=None,
        options=Options(device="cpu", threads=threads, compile="off", runs=folder / "runs"),
        command=("/somewhere/cnnlab", "study", "run", "mine"),
        failure=folder / "failures" / "one.json",
        log=folder / "logs" / "one.log",
    )
    return dataclasses.replace(ready, **values)


@pytest.fixture
def launcher() -> Iterator[LocalLauncher]:
    launcher = LocalLauncher()
    yield launcher
    launcher.close()


def wait_until(condition, seconds: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def end_of(launcher: LocalLauncher, job: Job, slot: Slot = SLOT) -> str:
    """Train a job; returns how its process ended."""
    launcher.start(slot, job)
    words: list[str | None] = [None]
    wait_until(lambda: words.append(launcher.poll(slot)) or words[-1] is not None)
    return words[-1] or ""


def runs_of(job: Job) -> list[RunFolder]:
    assert job.options.runs is not None
    return sorted(map(RunFolder, run_folders(job.options.runs)), key=lambda run: run.created)


def epochs_done(job: Job) -> int:
    return max((len(run.metrics) for run in runs_of(job)), default=0)


def process_of(launcher: LocalLauncher, slot: Slot = SLOT) -> int:
    return launcher._workers[slot.number].process.pid


_ALONE = """
import sys
from pathlib import Path
from cnnlab import Options, Recipe, train
options = Options(device="cpu", threads=int(sys.argv[2]), compile="off", runs=Path(sys.argv[3]))
train(Recipe.load(Path(sys.argv[1])), options)
"""


@pytest.mark.slow
def test_a_worker_trains_bitwise_what_a_process_of_its_own_trains(launcher: LocalLauncher, tmp_path: Path) -> None:
    """One worker, one after the other: other seeds, threads, optimizers and random layers leave nothing behind."""
    dropout = {"arch": {"layers": "conv 3x3 4 | bn | relu | dropout 0.5 | flatten | linear 10"}}
    quick = {"train": {"epochs": 2, "batch_size": 32, "ema": 0.9}}
    recipes: list[tuple[dict[str, Any], int]] = [
        ({**quick, "precision": "fp32", "seed": 1}, 1),
        ({**quick, "precision": "bf16", **dropout, "seed": 2, "optim": {"name": "adamw", "lr": 0.01}}, 2),
        ({**quick, "precision": "fp32", **dropout, "seed": 3}, 1),
        ({**quick, "precision": "fp32", "seed": 1}, 1),
    ]
    processes = set()
    for number, (changes, threads) in enumerate(recipes):
        one = job(tmp_path, changes, threads=threads)
        end_of(launcher, one)
        processes.add(process_of(launcher))
        warm = runs_of(one)[number]
        recipe, alone = tmp_path / f"{number}.toml", tmp_path / f"alone-{changes['seed']}"
        recipe.write_text(Recipe.from_dict(one.recipe).to_toml())
        words = [sys.executable, "-c", _ALONE, str(recipe), str(threads), str(alone)]
        if not alone.exists():  # the first recipe comes again at the end
            subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        (path,) = run_folders(alone)
        _equal(warm, RunFolder(path))
        assert warm.environment.command == ("cnnlab", "study", "run", "mine")
        assert warm.environment.execution.threads == threads
    assert len(processes) == 1


def _equal(first: RunFolder, second: RunFolder) -> None:
    def digits(run: RunFolder) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if "second" not in k} for row in run.metrics]

    assert digits(first) == digits(second)
    states = [run.checkpoint("last").arrays for run in (first, second)]
    assert states[0].keys() == states[1].keys()
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], name)
    np.testing.assert_array_equal(first.logits("test").logits, second.logits("test").logits)


@pytest.mark.slow
def test_a_worker_stays_on_its_cores_and_does_not_grow(launcher: LocalLauncher, tmp_path: Path) -> None:
    resident = []
    for seed in range(1, 9):
        end_of(launcher, job(tmp_path, {"train": {"epochs": 1}, "seed": seed}))
        status = Path(f"/proc/{process_of(launcher)}/status").read_text()
        resident.append(int(status.partition("VmRSS:")[2].split()[0]) * 1024)
    assert resident[-1] < resident[2] + 20 * 2**20, resident
    for task in Path(f"/proc/{process_of(launcher)}/task").iterdir():
        allowed = (task / "status").read_text().partition("Cpus_allowed_list:")[2].split()[0]
        assert allowed == str(SLOT.cores[0])


def test_a_stopped_job_is_saved_and_its_worker_takes_the_next(launcher: LocalLauncher, tmp_path: Path) -> None:
    long = job(tmp_path, {"train": {"epochs": 1000}})
    launcher.start(SLOT, long)
    wait_until(lambda: epochs_done(long) >= 1)
    process = process_of(launcher)
    launcher.stop(SLOT)
    wait_until(lambda: launcher.poll(SLOT) is not None)
    (run,) = runs_of(long)
    assert run.status.state == "interrupted"
    assert run.checkpoint("last").meta["step"] > 0
    assert Failure.read(long.failure) is None
    end_of(launcher, job(tmp_path, {"train": {"epochs": 1}}))
    assert [run.status.state for run in runs_of(long)] == ["interrupted", "complete"]
    assert process_of(launcher) == process


@pytest.mark.slow
def test_what_goes_wrong_is_on_disk_and_does_not_hurt_the_next(launcher: LocalLauncher, tmp_path: Path) -> None:
    """A bad recipe, lost data, a training that diverges: the same worker goes on. No memory, a bug: another does."""
    fine, brief = job(tmp_path, {"train": {"epochs": 1}}), {"train": {"epochs": 1}}
    end_of(launcher, fine)
    first = process_of(launcher)

    bad = job(tmp_path, brief)
    bad.recipe["arch"] = {"layers": "flatten | linear 3"}
    end_of(launcher, bad)
    failure = Failure.read(bad.failure)
    assert failure is not None
    assert failure.exit_code == 2
    assert "end it with `linear 10`" in failure.cause
    assert "end it with `linear 10`" in bad.log.read_text()

    lost = job(tmp_path, brief, failure=tmp_path / "lost.json")
    lost.recipe["data"]["source"] = str(tmp_path / "nowhere")
    end_of(launcher, lost)
    assert (failure := Failure.read(lost.failure)) is not None
    assert failure.exit_code == 3

    wild = job(tmp_path, {**brief, "optim": {"lr": 1e9}}, failure=tmp_path / "wild.json")
    end_of(launcher, wild)
    assert runs_of(wild)[-1].status.state == "diverged"
    assert (failure := Failure.read(wild.failure)) is not None
    assert failure.exit_code == 4
    assert process_of(launcher) == first

    huge = job(tmp_path, brief, failure=tmp_path / "huge.json")
    huge.recipe["arch"] = {"layers": "flatten | linear 4000000 | linear 4000000 | linear 10"}
    end_of(launcher, huge)
    assert (failure := Failure.read(huge.failure)) is not None
    assert failure.exit_code == 7
    end_of(launcher, fine)
    second = process_of(launcher)

    bug = job(tmp_path, brief, failure=tmp_path / "bug.json", command=())  # every command has a name
    end_of(launcher, bug)
    assert (failure := Failure.read(bug.failure)) is not None
    assert failure.exit_code == 1
    assert f"(a bug: see {bug.log})" in failure.cause
    assert "Traceback" in bug.log.read_text()
    end_of(launcher, fine)
    assert len({first, second, process_of(launcher)}) == 3
    assert [run.status.state for run in runs_of(fine)] == ["complete", "diverged", "complete", "complete"]


@pytest.mark.slow
def test_a_killed_worker_is_replaced(launcher: LocalLauncher, tmp_path: Path) -> None:
    long = job(tmp_path, {"train": {"epochs": 1000}})
    launcher.start(SLOT, long)
    wait_until(lambda: epochs_done(long) >= 1)
    os.kill(process_of(launcher), signal.SIGKILL)
    words: list[str] = []
    wait_until(lambda: bool(words.append(launcher.poll(SLOT) or "") or words[-1]))
    assert words[-1] == "killed by SIGKILL"
    assert str(runs_of(long)[0].status) == "interrupted (owner gone)"
    brief = job(tmp_path, {"train": {"epochs": 1}})
    end_of(launcher, brief)
    os.kill(process_of(launcher), signal.SIGKILL)  # while it waits for work
    wait_until(lambda: launcher._workers[0].process.poll() is not None)
    end_of(launcher, brief)
    assert [run.status.state for run in runs_of(brief)] == ["interrupted", "complete", "complete"]


def test_nothing_is_left_running(tmp_path: Path) -> None:
    launcher, long = LocalLauncher(), job(tmp_path, {"train": {"epochs": 1000}})
    launcher.start(SLOT, long)
    wait_until(lambda: epochs_done(long) >= 1)
    process = process_of(launcher)
    launcher.end(SLOT)
    launcher.close()
    assert not Path(f"/proc/{process}").exists()


_PARENT = """
import sys
from pathlib import Path
from cnnlab.launch.launcher import Job, Slot
from cnnlab.launch.local import LocalLauncher
launcher = LocalLauncher()
launcher.start(Slot(0, (), 1), Job.from_line(sys.argv[1].encode()))
print("started", flush=True)
sys.stdin.read()
"""


def test_a_worker_saves_and_ends_when_the_study_is_killed(tmp_path: Path) -> None:
    """Killed with SIGKILL, so that no handler of the study can tell its worker."""
    long = job(tmp_path, {"train": {"epochs": 1000}})
    words = [sys.executable, "-c", _PARENT, long.to_line().decode()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as study:
        assert study.stdout is not None
        assert study.stdout.readline() == b"started\n"
        wait_until(lambda: epochs_done(long) >= 1)
        (run,) = runs_of(long)
        owner = json.loads((run.path / "lock").read_text())["pid"]
        os.kill(study.pid, signal.SIGKILL)
    wait_until(lambda: run.status.state != "running")
    # said by the worker itself, after it had saved
    assert str(run.status).startswith("interrupted (Interrupted")
    assert run.checkpoint("last").meta["step"] > 0
    wait_until(lambda: not Path(f"/proc/{owner}").exists())
