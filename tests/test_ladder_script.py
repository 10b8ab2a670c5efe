"""examples/mds5122/ladder.sh with a stand-in for cnnlab: pieces end in time, failures and the end are reported."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "mds5122" / "ladder.sh"


# Shortens the pieces to one second, and the time until a training is killed; what the script asked for is kept.
TIMEOUT = """echo "$@" >> {folder}/timeouts
[ "$1 $2" = "--signal=INT --kill-after=60" ] || exit 99
exec {timeout} --signal=INT --kill-after=1 1 "${{@:4}}\""""
# A clock that only the stand-in of cnnlab moves, by writing to the file.
DATE = """cat {folder}/clock"""


def run(
    tmp_path: Path, stand_in: str, *options: str, script: Sequence[str | Path] = (SCRIPT,), **environment: str
) -> tuple[int, list[str]]:
    """Exit status of the script, and the calls of the stand-in, whose body is `stand_in`; PIECE is 60 if not given."""
    timeout = shutil.which("timeout")
    assert timeout
    (tmp_path / "clock").write_text("1000")
    calls = tmp_path / "calls"
    bodies = {
        "cnnlab": f'echo "$@" >> {calls}\n{stand_in}',
        "timeout": TIMEOUT.format(folder=tmp_path, timeout=timeout),
        "date": DATE.format(folder=tmp_path),
    }
    for name, body in bodies.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    given = {"PIECE": "60", "BUDGET": "tiny", "CNNLAB_RUNS": "here"} | environment
    inherited = {name: value for name, value in os.environ.items() if name not in (*given, "STUDIES")}
    values = {name: value for name, value in given.items() if value}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*script, *options], env=inherited | values | path, cwd=tmp_path, timeout=60, check=False)
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


def pieces(tmp_path: Path) -> list[int]:
    """The seconds for which the script let each study train."""
    return [int(line.split()[2]) for line in (tmp_path / "timeouts").read_text().splitlines()]


def test_all_is_trained_and_reported(tmp_path: Path) -> None:
    status, calls = run(tmp_path, "true", "--seeds", "1")
    assert status == 0
    assert calls == [
        "study run mds5122 --budget tiny --runs here --seeds 1",
        "study run mds5122-mnist --budget tiny --runs here --seeds 1",
        "report mds5122 --budget tiny --runs here --html --csv",
        "report mds5122-mnist --budget tiny --runs here --html --csv",
    ]


def test_a_piece_ends_in_time_with_the_signal_that_saves(tmp_path: Path) -> None:
    trap = f"trap 'touch {tmp_path / 'saved'}; exit 130' INT; sleep 30 & wait"
    status, calls = run(tmp_path, trap)
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


def test_a_failing_report_ends_it_with_its_own_status(tmp_path: Path) -> None:
    status, calls = run(tmp_path, '[ "$1" != report ] || exit 6')
    assert (status, calls[-1]) == (6, "report mds5122 --budget tiny --runs here --html --csv")
    assert len(calls) == 3


def test_a_training_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    status, calls = run(tmp_path, "trap '' INT; while :; do sleep 0.1; done")
    assert (status, len(calls)) == (137, 1)


def test_the_second_study_has_what_the_first_has_left(tmp_path: Path) -> None:
    status, _ = run(tmp_path, f'[ "$3" != mds5122 ] || echo 1041 > {tmp_path}/clock')
    assert (status, pieces(tmp_path)) == (0, [60, 19])


@pytest.mark.parametrize("used", [60, 65])
def test_nothing_begins_when_the_time_is_used_up(tmp_path: Path, used: int) -> None:
    status, calls = run(tmp_path, f"echo {1000 + used} > {tmp_path}/clock")
    assert (status, calls) == (75, ["study run mds5122 --budget tiny --runs here"])


def test_the_defaults(tmp_path: Path) -> None:
    status, calls = run(tmp_path, "true", PIECE="", BUDGET="", CNNLAB_RUNS="", STUDIES="mds5122")
    assert (status, pieces(tmp_path)) == (0, [500])
    assert calls == [
        "study run mds5122 --budget full --runs runs",
        "report mds5122 --budget full --runs runs --html --csv",
    ]


@pytest.mark.parametrize("piece", ["29", "0", "-60", "60s", "1.5", "1 000", "029", "9" * 30])
def test_a_piece_that_is_too_short_or_no_number_is_refused(
    tmp_path: Path, piece: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status, calls = run(tmp_path, "true", PIECE=piece)
    assert (status, calls) == (2, [])
    assert capfd.readouterr().err == f"PIECE: received '{piece}', expected seconds, 30 or more\n"


@pytest.mark.parametrize(("piece", "seconds"), [("30", 30), ("090", 90)])
def test_the_shortest_piece_and_a_zero_in_front(tmp_path: Path, piece: str, seconds: int) -> None:
    assert run(tmp_path, "true", PIECE=piece)[0] == 0
    assert pieces(tmp_path) == [seconds, seconds]
