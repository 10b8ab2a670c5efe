"""A recipe, a root folder, and a run just begun."""

from pathlib import Path

import pytest

from cnnlab.recipe import Recipe
from cnnlab.runs import RunWriter
from made_values import environment_of


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.named("simplenn")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def writer(root: Path, recipe: Recipe) -> RunWriter:
    return RunWriter.create(root, recipe, environment_of(recipe))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoints folder."""
    return tmp_path / "checkpoints"
