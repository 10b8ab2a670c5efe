"""`cnnlab recipes`: what it prints is complete, and is itself a recipe."""

from pathlib import Path

import pytest

from cnnlab.cli.recipes import list_command, show_command
from cnnlab.recipe import Recipe, preset_names


def test_ls_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    list_command()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(preset_names())


def test_show_prints_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["optim.lr=0.5", "schedule={name='step', decay_epochs=40}"]
    show_command("simplenn", overrides)
    printed = capsys.readouterr()
    path = tmp_path / "shown.toml"
    path.write_text(printed.out, encoding="utf-8")
    assert Recipe.load(path) == Recipe.load("simplenn", overrides)
    assert Recipe.load(path).hash in printed.out
    assert printed.err.startswith("warning: schedule.decay_epochs")
