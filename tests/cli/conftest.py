"""The command as a function: what it printed, and with which code it would have exited."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cnnlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`cnnlab("train", "simplenn")` in this process, through the same entry point as the console script."""
    from cnnlab.cli.main import run

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["cnnlab", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def trained_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `cnnlab train` printed for two epochs of SimpleNN on the embedded data."""
    runs = tmp_path_factory.mktemp("trained")
    recipe = ["train", "demo", "--set", "train.epochs=2", "--set", "data.train_limit=1280"]
    command = [sys.executable, "-c", "from cnnlab.cli.main import run; run()", *recipe, "--threads", "1"]
    done = subprocess.run([*command, "--runs", runs], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def trained(trained_output: str) -> Path:
    """The run folder of that training."""
    return Path(next(line for line in trained_output.splitlines() if line.startswith("run ")).split(maxsplit=1)[1])
