"""Several seeds of one recipe: finished runs are kept, stopped ones go on, and nothing else is taken for one."""

import signal
from pathlib import Path

import numpy as np
import pytest

from cnnlab import Options, Recipe
from cnnlab.core.errors import CnnlabError, Interrupted, RunError
from cnnlab.launch.replicates import train_seeds
from cnnlab.training.hooks import Watcher


def write_data(path: Path, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", 60), ("test", 20)):
        arrays[f"x_{split}"] = generator.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 3
    np.savez(path, **arrays)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe.from_dict(
        {
            "name": "tiny",
            "precision": "fp32",
            "data": {"source": str(write_data(tmp_path / "data.npz", 0)), "val": 15},
            "arch": {"layers": "conv 3x3 2 | relu | flatten | linear 3"},
            "optim": {"name": "sgd", "lr": 0.01},
            "train": {"epochs": 2, "batch_size": 15},
        }
    )


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(runs=tmp_path / "runs", threads=1, compile="off")


class StopInRun(Watcher):
    """SIGTERM at a step of the first epoch of the run with this number, from 1."""

    def __init__(self, number: int) -> None:
        self.left = number

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if (epoch, step_in_epoch) == (1, 1):
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)


def test_a_run_for_each_seed_in_order_and_none_twice(recipe: Recipe, options: Options):
    runs = train_seeds(recipe, [3, 1], options)
    assert [run.recipe.seed for run in runs] == [3, 1]
    assert all(run.folder.status.state == "complete" for run in runs)
    again = train_seeds(recipe, [1, 2, 3], options)
    assert [run.path for run in again][::2] == [runs[1].path, runs[0].path]
    assert len(list((options.runs or Path()).iterdir())) == 3


def test_what_was_stopped_goes_on_where_it_was(recipe: Recipe, options: Options):
    with pytest.raises(Interrupted, match="the same command again goes on with all seeds") as stopped:
        train_seeds(recipe, [1, 2], options, StopInRun(2))
    assert stopped.value.exit_code == 143
    before = {path.name for path in (options.runs or Path()).iterdir()}
    runs = train_seeds(recipe, [1, 2], options)
    assert {run.path.name for run in runs} == before
    assert [len(run.metrics) for run in runs] == [2, 2]


def test_another_recipe_is_another_run(recipe: Recipe, options: Options):
    train_seeds(recipe, [1], options)
    other = Recipe.from_dict({**recipe.model_dump(mode="json", exclude_none=True), "loss": {"l1": 1e-4}})
    (run,) = train_seeds(other, [1], options)
    assert run.recipe.loss.l1 == 1e-4
    assert len(list((options.runs or Path()).iterdir())) == 2


def test_a_run_on_other_data_is_not_taken(recipe: Recipe, options: Options, tmp_path: Path):
    train_seeds(recipe, [1], options)
    write_data(tmp_path / "data.npz", 1)
    with pytest.raises(RunError, match="was trained on other data"):
        train_seeds(recipe, [1], options)


def test_a_finished_run_needs_no_data(recipe: Recipe, options: Options, tmp_path: Path):
    (run,) = train_seeds(recipe, [1], options)
    (tmp_path / "data.npz").unlink()
    assert train_seeds(recipe, [1], options)[0].path == run.path


def test_a_damaged_run_is_passed_over_and_said(recipe: Recipe, options: Options, caplog: pytest.LogCaptureFixture):
    (run,) = train_seeds(recipe, [1], options)
    (run.path / "environment.json").unlink()
    (anew,) = train_seeds(recipe, [1], options)
    assert anew.path != run.path
    assert f"run {run.path.name} is ignored" in caplog.text


def test_all_problems_of_seeds_come_together(recipe: Recipe, options: Options):
    with pytest.raises(CnnlabError) as caught:
        train_seeds(recipe, [1, 1, -2], options)
    assert len(caught.value.problems) == 2
    with pytest.raises(CnnlabError, match="received none"):
        train_seeds(recipe, [], options)
    assert options.runs is not None
    assert not options.runs.exists()
