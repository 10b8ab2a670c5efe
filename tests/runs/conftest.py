"""A recipe, a root folder, and a run just begun."""

from pathlib import Path

import pytest

from cnnlab.recipe import Recipe
from cnnlab.runs import RunWriter


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.named("simplenn")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def writer(root: Path, recipe: Recipe) -> RunWriter:
    return RunWriter.create(root, recipe, {"device": "cpu"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoints folder."""
    return tmp_path / "checkpoints"
