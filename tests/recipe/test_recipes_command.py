"""`cnnlab recipes`: what it prints is complete, and is itself a recipe."""

from pathlib import Path

from typer.testing import CliRunner

from cnnlab.cli.main import app
from cnnlab.core.errors import RecipeError
from cnnlab.recipe import Recipe, preset_names


def test_ls_names_every_preset() -> None:
    result = CliRunner().invoke(app, ["recipes", "ls"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(preset_names())


def test_show_prints_a_recipe(tmp_path: Path) -> None:
    overrides = ["optim.lr=0.5", "schedule={name='step', decay_epochs=40}"]
    result = CliRunner().invoke(app, ["recipes", "show", "simplenn", "--set", overrides[0], "-s", overrides[1]])
    path = tmp_path / "shown.toml"
    path.write_text(result.stdout, encoding="utf-8")
    assert Recipe.load(path) == Recipe.load("simplenn", overrides)
    assert Recipe.load(path).hash in result.stdout
    assert result.stderr.startswith("warning: schedule.decay_epochs")


def test_show_passes_problems_on() -> None:
    result = CliRunner().invoke(app, ["recipes", "show", "simplenn", "--set", "optim.lrr=0.5"])
    assert isinstance(result.exception, RecipeError)
