"""Studies whose workers, and which themselves, are killed at random instants, or share their cells with another."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.runs import RunFolder
from cnnlab.runs.ownership import is_owned, read_owner
from cnnlab.runs.reader import run_folders

STUDY = """
question = "Which rate?"
seeds = {seeds}

[base]
extends = "demo"
precision = "fp32"
data.train_limit = 320
data.val = 100
train.epochs = 60
train.batch_size = 16

[factors]
optim.lr = {rates}
"""
ENTRY = [sys.executable, "-c", "import sys; sys.argv[0] = 'cnnlab'; from cnnlab.cli.main import run; run()"]
KILLS = int(os.environ.get("CNNLAB_TEST_KILLS", "4"))


def start(desk: Path, name: str, *words: str) -> subprocess.Popen[str]:
    command = [*ENTRY, "study", "run", f"{name}.toml", "--workers", "1", "--threads", "1", "--retry", *words]
    return subprocess.Popen(command, cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(study: subprocess.Popen[str]) -> str:
    out, _ = study.communicate(timeout=400)
    assert study.returncode == 0, out
    return out


def digits(desk: Path) -> dict[str, tuple[list[dict[str, Any]], np.ndarray[Any, Any]]]:
    """Of each complete run all that is not a time."""
    found = {}
    for run in map(RunFolder, run_folders(desk / "runs")):
        if run.status.state == "complete":
            assert run.recipe.hash not in found, "one experiment was trained twice"
            rows = [{k: v for k, v in row.items() if "second" not in k} for row in run.metrics]
            found[run.recipe.hash] = (rows, run.logits("test").logits)
    return found


@pytest.mark.slow
def test_kills_at_random_instants_leave_what_a_quiet_study_leaves(tmp_path: Path) -> None:
    quiet, noisy = tmp_path / "quiet", tmp_path / "noisy"
    for desk in (quiet, noisy):
        desk.mkdir()
        (desk / "small.toml").write_text(STUDY.format(seeds=1, rates="[0.01, 0.02]"))
    finish(start(quiet, "small"))
    chance, kills = random.Random(8), 0
    while kills < KILLS:
        with start(noisy, "small") as study:
            worker = _owner_of_a_run(noisy / "runs", study)
            if worker is None:
                break  # it was too quick for us
            time.sleep(chance.uniform(0.0, 1.0))
            with suppress(ProcessLookupError):  # its study may be done by now
                os.kill(worker, signal.SIGKILL)  # the study replaces it
            _owner_of_a_run(noisy / "runs", study, other_than=worker)
            time.sleep(chance.uniform(0.0, 0.5))
            study.kill()
            kills += 2
        _wait_until_released(noisy / "runs")
    finish(start(noisy, "small"))
    assert kills >= min(KILLS, 4)
    expected, found = digits(quiet), digits(noisy)
    assert expected.keys() == found.keys()
    for recipe_hash, (rows, logits) in expected.items():
        assert found[recipe_hash][0] == rows
        np.testing.assert_array_equal(found[recipe_hash][1], logits)


def _owner_of_a_run(runs: Path, study: "subprocess.Popen[str]", other_than: int = 0) -> int | None:
    """The process that writes a run now; None when the study has ended before there was one."""
    while study.poll() is None:
        for run in run_folders(runs):
            owner = read_owner(run) if is_owned(run) else None
            if owner is not None and owner.pid != other_than:
                return owner.pid
        time.sleep(0.01)
    return None


def _wait_until_released(runs: Path) -> None:
    """A worker whose study is gone saves and stops by itself."""
    end = time.monotonic() + 100
    while any(is_owned(run) for run in run_folders(runs)):
        assert time.monotonic() < end, "a worker outlives its study"
        time.sleep(0.02)


@pytest.mark.slow
def test_two_studies_at_the_same_time_train_a_shared_cell_once(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(STUDY.format(seeds=1, rates="[0.01, 0.02]"))
    (tmp_path / "two.toml").write_text(STUDY.format(seeds=1, rates="[0.02, 0.01]"))
    for study in [start(tmp_path, "one"), start(tmp_path, "two")]:
        finish(study)
    assert len(digits(tmp_path)) == 2  # which also says that none was trained twice
    assert len(run_folders(tmp_path / "runs")) == 2
