"""A damaged environment or result is a message and exit code 6, whatever reads it; what can go on without it does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.runs import RunFolder

OLD_RUNS = Path(__file__).parents[1] / "runs" / "old_runs"
# More of it is in tests/runs/test_environment.py, on the reader that all commands share.
DAMAGE = {
    "empty object": "{}",
    "cut short": '{"format": 2, "recipe_hash": "aa',
    "wrong kinds": '{"accuracy": 5, "data": "x", "device": [], "created": 7, "initial_loss": NaN}',
}
STUDY = """
question = "Is it found?"
seeds = [1]
[base]
extends = "BASE"
[[arm]]
name = "as it was"
[[arm]]
name = "faster"
set = { optim = { lr = 0.5 } }
[[claim]]
left = "faster"
relation = ">"
right = "as it was"
metric = "test"
"""
# Every command that reads runs. Those in the second list are about all runs, and go on without one.
ABOUT_ONE = {
    "show": ["runs", "show", "RUN"],
    "diff": ["runs", "diff", "RUN", "OTHER"],
    "diff the other way": ["runs", "diff", "OTHER", "RUN"],
    "predict": ["predict", "RUN", "IMAGE"],
    "score": ["score", "RUN"],
    "export": ["export", "RUN", "OUT.safetensors"],
    "confusion": ["inspect", "RUN", "confusion", "--out", "OUT.png"],
    "features": ["inspect", "RUN", "features", "IMAGE", "--out", "OUT"],
    "landscape": ["inspect", "RUN", "landscape"],
    "latency": ["bench", "latency", "RUN"],
}
ABOUT_ALL = {
    "ls": ["runs", "ls"],
    "query": ["runs", "query", "select id, state from runs"],
    "status": ["study", "status", "STUDY"],
    "claims": ["study", "claims", "STUDY"],
    "plan": ["study", "plan", "STUDY"],
    "report": ["report", "STUDY", "--html", "--csv", "--out", "OUT"],
}
READS_NO_RESULT = {"predict", "score", "export", "features", "latency", "confusion"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runs = Path(shutil.copytree(OLD_RUNS, tmp_path / "runs"))
    monkeypatch.setenv("CNNLAB_RUNS", str(runs))
    Image.fromarray(np.full((32, 32, 3), 99, np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "study.toml").write_text(STUDY.replace("BASE", str(run_in(tmp_path) / "recipe.toml")))
    return tmp_path


def run_in(place: Path, name: str = "old-with-val") -> Path:
    (path,) = (place / "runs").glob(f"{name}-s1-*")
    return path


def words(place: Path, command: list[str]) -> list[str]:
    """The command line, with the places of this test."""
    places = {
        "RUN": run_in(place),
        "OTHER": run_in(place, "old-without-val"),
        "IMAGE": place / "photo.png",
        "STUDY": place / "study.toml",
        "OUT": place / "out",
        "OUT.png": place / "out.png",
        "OUT.safetensors": place / "out.safetensors",
    }
    return [str(places.get(word, word)) for word in command]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ABOUT_ONE)
def test_a_command_about_one_run_says_what_is_damaged(cnnlab: Callable, place: Path, name: str, damage: str) -> None:
    path = run_in(place) / "environment.json"
    path.write_text(DAMAGE[damage])
    answer = cnnlab(*words(place, ABOUT_ONE[name]))
    assert answer.code == 6, answer
    assert f"{path} is damaged" in answer.err.replace("\n", "")


@pytest.mark.parametrize("name", sorted(ABOUT_ONE.keys() - READS_NO_RESULT))
def test_a_damaged_result_is_said_where_it_is_read(cnnlab: Callable, place: Path, name: str) -> None:
    path = run_in(place) / "result.json"
    for content in DAMAGE.values():
        path.write_text(content)
        answer = cnnlab(*words(place, ABOUT_ONE[name]))
        assert answer.code == (0 if name.startswith("diff") else 6), answer
        assert "damaged" in answer.out + answer.err


@pytest.mark.parametrize("file", ["environment.json", "result.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_command_about_all_runs_goes_on_and_says_which_it_leaves_out(
    cnnlab: Callable, place: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = run_in(place)
    (damaged / file).write_text(DAMAGE[damage])
    for name, command in ABOUT_ALL.items():
        caplog.clear()
        answer = cnnlab(*words(place, command))
        assert answer.code == 0, (name, answer)
        said = answer.out + answer.err + caplog.text
        assert damaged.name in said.replace("\n", ""), name
        assert "damaged" in said, name
        if name == "status":
            assert "2 missing" in answer.out


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_stopped_run_without_its_environment_is_not_resumed(cnnlab: Callable, place: Path, damage: str) -> None:
    path = run_in(place, "old-stopped")
    (path / "environment.json").write_text(DAMAGE[damage])
    before = (path / "metrics.jsonl").read_bytes()
    assert cnnlab("resume", path).code == 6
    assert (path / "metrics.jsonl").read_bytes() == before


def test_all_of_it_works_while_nothing_is_damaged(cnnlab: Callable, place: Path) -> None:
    """Else the tests above would pass for another reason."""
    for name in ("show", "diff", "predict", "confusion", "export"):
        assert cnnlab(*words(place, ABOUT_ONE[name])).code == 0
    for command in ABOUT_ALL.values():
        answer = cnnlab(*words(place, command))
        assert answer.code == 0
        assert "damaged" not in answer.out + answer.err


def test_diff_names_the_conditions(cnnlab: Callable, place: Path) -> None:
    path = run_in(place) / "environment.json"
    changed = json.loads(path.read_text())
    changed["execution"]["threads"] = 4
    path.write_text(json.dumps(changed))
    assert RunFolder(path.parent).environment.execution.threads == 4
    out = cnnlab(*words(place, ABOUT_ONE["diff"])).out.splitlines()
    assert "note: the runs differ in threads: 4 (1 run), 1 (1 run)" in out
    assert "note: not recorded, so not known: host, workers of 2 runs" in out
    assert "note: times do not compare: threads: 4 (1 run), 1 (1 run)" in out
