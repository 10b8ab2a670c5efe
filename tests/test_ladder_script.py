"""examples/mds5122/ladder.sh with a stand-in for cnnlab: pieces end in time, failures and the end are reported."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "mds5122" / "ladder.sh"


def run(
    tmp_path: Path, stand_in: str, piece: int = 60, *options: str, script: Sequence[str | Path] = (SCRIPT,)
) -> tuple[int, list[str]]:
    """Exit status of the script, and the calls of the stand-in, whose body is `stand_in`."""
    calls = tmp_path / "calls"
    program = tmp_path / "cnnlab"
    program.write_text(f'#!/usr/bin/env bash\necho "$@" >> {calls}\n{stand_in}\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PIECE": str(piece), "BUDGET": "tiny"}
    environment["CNNLAB_RUNS"] = "here"
    done = subprocess.run([*script, *options], env=environment, cwd=tmp_path, timeout=60, check=False)
    return done.returncode, calls.read_text().splitlines()


def test_all_is_trained_and_reported(tmp_path: Path) -> None:
    status, calls = run(tmp_path, "true", 60, "--seeds", "1")
    assert status == 0
    assert calls == [
        "study run mds5122 --budget tiny --runs here --seeds 1",
        "study run mds5122-mnist --budget tiny --runs here --seeds 1",
        "report mds5122 --budget tiny --runs here --html --csv",
        "report mds5122-mnist --budget tiny --runs here --html --csv",
    ]


def test_a_piece_ends_in_time_with_the_signal_that_saves(tmp_path: Path) -> None:
    trap = f"trap 'touch {tmp_path / 'saved'}; exit 130' INT; sleep 30 & wait"
    status, calls = run(tmp_path, trap, 1)
    assert status == 75
    assert calls == ["study run mds5122 --budget tiny --runs here"]
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize(("stand_in", "calls"), [("exit 2", 1), ("[ -e once ] || { touch once; exit 124; }", 5)])
def test_the_documented_loop_goes_on_only_while_something_is_left(tmp_path: Path, stand_in: str, calls: int) -> None:
    """A failure ends it at the first call; 124, as `timeout` returns it, begins another round of four calls."""
    loop = next(line for line in SCRIPT.read_text().splitlines() if "while examples" in line)
    loop = loop.removeprefix("#").partition("        ")[0].replace("examples/mds5122/ladder.sh", str(SCRIPT))
    wrapper = tmp_path / "loop.sh"
    wrapper.write_text(f"{loop}\n")
    _, found = run(tmp_path, stand_in, script=["bash", str(wrapper)])
    assert len(found) == calls


@pytest.mark.parametrize("code", [2, 7])
def test_a_failure_ends_it_with_its_own_status(tmp_path: Path, code: int) -> None:
    status, calls = run(tmp_path, f"exit {code}")
    assert (status, len(calls)) == (code, 1)
