"""`cnnlab study` from end to end on the embedded data: real workers, one of them killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import cell_overhead, study_speed
from cnnlab.runs import RunFolder
from cnnlab.runs.reader import run_folders

STUDY = """
question = "Does batch normalisation help within two epochs?"
seeds = 1

[base]
extends = "demo"
data.train_limit = 640
train.epochs = 2

[factors]
arch.options.batchnorm = [false, true]

[[arm]]
name = "too fast"
set = { optim = { lr = 1e9 } }

[[claim]]
left = "bn=on"
relation = ">"
right = "bn=off"
"""

ENTRY = [sys.executable, "-c", "import sys; sys.argv[0] = 'cnnlab'; from cnnlab.cli.main import run; run()"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(STUDY)
    return folder


def cnnlab(desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENTRY, *words], cwd=desk, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_and_a_diverged_arm_is_kept(desk: Path) -> None:
    with subprocess.Popen(
        [*ENTRY, "study", "run", "small.toml", "--workers", "1"], cwd=desk, stdout=subprocess.PIPE, text=True
    ) as study:
        _kill_the_first_worker(desk / "runs")
        out, _ = study.communicate(timeout=300)
    assert study.returncode == 0, out
    assert "ended      bn=off, seed 1: killed by SIGKILL; it is continued" in out
    assert "continues  bn=off, seed 1" in out
    assert "failed     too fast, seed 1: DivergedError: the loss is not finite" in out
    assert "study      small: 2 of 3 complete, 1 failed" in out
    runs = {path.name.rpartition("-s1-")[0]: RunFolder(path) for path in run_folders(desk / "runs")}
    assert {name: run.status.state for name, run in runs.items()} == {
        "small-bn-off": "complete",
        "small-bn-on": "complete",
        "small-too-fast": "diverged",
    }
    again = cnnlab(desk, "study", "run", "small.toml")
    assert "begins" not in again.stdout
    status = cnnlab(desk, "study", "status", "small.toml").stdout.splitlines()
    assert status[1].split("\t") == ["bn=off", "1", "", "", "", "", ""]
    assert status[3].split("\t") == ["too fast", "", "", "", "1", "", ""]
    claims = cnnlab(desk, "study", "claims", "small.toml").stdout
    assert "best_val: bn=on > bn=off\tundecided" in claims


SEARCH = """
question = "Which rate?"
seeds = 1

[base]
extends = "demo"
data.train_limit = 640
train.epochs = 2

[factors]
optim.lr = { low = 1e-3, high = 0.1, log = true }
"""


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_with_its_trial(tmp_path: Path) -> None:
    (tmp_path / "find.toml").write_text(SEARCH)
    command = ["study", "search", "find.toml", "--workers", "1", "--trials", "2"]
    with subprocess.Popen([*ENTRY, *command], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as killed:
        first = _run_that_has_begun(tmp_path / "runs")
        killed.kill()
        out, _ = killed.communicate()
    assert "ended" not in out
    _wait_until_released(first)
    done = cnnlab(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert f"continues  trial 0: lr={RunFolder(first).recipe.optim.lr:.4g}" in done.stdout
    assert len(run_folders(tmp_path / "runs")) == 2
    assert "trials     2, all in runs/studies/find/trials.csv" in done.stdout
    confirm = cnnlab(tmp_path, "study", "status", "runs/studies/find/confirm.toml")
    assert confirm.stdout.splitlines()[1].split("\t")[0] == "base"
    grid = cnnlab(tmp_path, "study", "run", "find.toml")
    assert grid.returncode == 2
    assert "`cnnlab study search` tries some of it" in grid.stderr


def _run_that_has_begun(runs: Path) -> Path:
    end = time.monotonic() + 200
    while time.monotonic() < end:
        for path in run_folders(runs) if runs.exists() else ():
            if '"pid"' in (path / "lock").read_text():
                return path
        time.sleep(0.01)
    raise AssertionError("no worker began")


def _wait_until_released(run: Path) -> None:
    """A worker whose study is gone saves and stops by itself."""
    end = time.monotonic() + 100
    while time.monotonic() < end and RunFolder(run).status.state == "running":
        time.sleep(0.05)


def _kill_the_first_worker(runs: Path) -> None:
    owner = json.loads((_run_that_has_begun(runs) / "lock").read_text())
    os.kill(owner["pid"], signal.SIGKILL)


def test_a_bad_study_says_everything_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(
        STUDY.replace('"bn=off"', '"bn=of"').replace("seeds", "sedds") + "[[exclude]]\noptim.lr = 1\n"
    )
    done = cnnlab(tmp_path, "study", "run", "bad.toml")
    assert done.returncode == 2
    assert "no arm 'bn=of'; did you mean 'bn=off'?" in done.stderr
    assert "exclude 1: 'optim.lr' is no factor; expected one of: arch.options.batchnorm" in done.stderr
    assert "sedds: unknown key" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_benches_run(tmp_path: Path) -> None:
    assert study_speed.main(["--quick", "--workers", "2", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "study_speed.json").exists()
    assert cell_overhead.main(["--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "cell_overhead.json").read_text())
    assert result["cells"] == 2
    counted = 2 * (result["run_seconds_per_cell"] + result["overhead_seconds_per_cell"])
    assert counted == pytest.approx(result["wall_seconds"])
    assert f"| {result['overhead_seconds_per_cell']:.2f} |" in (tmp_path / "cell_overhead.md").read_text()
