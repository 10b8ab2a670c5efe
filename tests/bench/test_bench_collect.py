"""Collected results: complete, small, and free of one machine's paths."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.collect import collect, page, public_command

from cnnlab import Options, Recipe, train
from cnnlab.core.errors import Interrupted
from cnnlab.launch.watch import Silent
from cnnlab.runs import RunFolder


def test_local_paths_leave_the_command() -> None:
    command = ["cnnlab", "train", "simplenn", "--runs", "/home/me/runs", "--seed", "2", "--data-dir", "/big"]
    assert public_command(command) == "cnnlab train simplenn --seed 2"


def small() -> Recipe:
    return Recipe.named("demo", data={"train_limit": 128}, train={"epochs": 1})


def test_a_page_with_the_figures_of_a_run(tmp_path: Path) -> None:
    run = train(small(), Options(threads=1, runs=tmp_path / "runs"))
    entry = collect(RunFolder(run.path), tmp_path / "out")
    text = page([entry])
    assert f"{run.accuracy('test'):.2%}" in text
    assert "[demo](demo/curves.png)" in text
    copied = {path.name for path in (tmp_path / "out" / "demo").iterdir()}
    assert {"recipe.toml", "metrics.jsonl", "result.json", "environment.json", "curves.png"} <= copied
    environment = json.loads((tmp_path / "out" / "demo" / "environment.json").read_text())
    assert str(tmp_path) not in environment["command"]


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    class Stop(Silent):
        def on_start(self, *_: object) -> None:
            raise Interrupted("stopped", 130)

    with pytest.raises(Interrupted):
        train(small(), Options(threads=1, runs=tmp_path / "runs"), Stop())
    (run,) = (tmp_path / "runs").iterdir()
    with pytest.raises(SystemExit, match="only complete runs are collected"):
        collect(RunFolder(run), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_explains_itself() -> None:
    words = [sys.executable, "-m", "bench.collect", "--help"]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert "Collect finished runs" in done.stdout
