"""Trainings of a second, how to stop them anywhere, and how to compare what they left."""

import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnnlab import Options, Recipe
from cnnlab.runs import RunFolder
from cnnlab.training.hooks import Watcher

EPOCHS = 3


def recipe_for(source: Path, **changes: object) -> Recipe:
    """Everything that has state: augmentation, batch norm, dropout, momentum, schedule, averaged weights."""
    values: dict = {
        "name": "tiny",
        "data": {"source": str(source), "val": 40},
        "augment": {"crop": {"padding": 2}, "flip": {"p": 0.5}},
        "arch": {"layers": "conv 3x3 6 nobias | bn | relu | pool 2 | flatten | dropout 0.2 | linear 3"},
        "optim": {"name": "sgd", "lr": 0.05, "nesterov": True, "weight_decay": 1e-3},
        "schedule": {"name": "onecycle", "warmup": "20%"},
        "loss": {"l1": 1e-5, "label_smoothing": 0.05},
        "train": {"epochs": EPOCHS, "batch_size": 32, "clip_norm": 5.0, "ema": 0.9},
    }
    for section, value in changes.items():
        values[section] = value
    return Recipe.from_dict(values)


def one_thread(runs: Path) -> Options:
    """Threads of small trainings only wait for each other, and trials for a compiler take longer than they do."""
    return Options(runs=runs, threads=1, compile="off")


class StopAt(Watcher):
    """Sends this process SIGTERM after one step of one epoch."""

    def __init__(self, epoch: int, step: int) -> None:
        self.place = (epoch, step)

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if (epoch, step_in_epoch) == self.place:
            signal.raise_signal(signal.SIGTERM)


def final_state(run: Path) -> tuple[dict, list, dict]:
    """Weights and optimizer state, metrics and results, without what the clock says."""

    def untimed(row: Mapping) -> dict:
        return {k: v for k, v in dict(row).items() if "second" not in k and k != "peak_memory"}

    folder = RunFolder(run)
    assert folder.result is not None
    return folder.checkpoint("last").arrays, [untimed(r) for r in folder.metrics], untimed(folder.result)


def assert_same(run: Path, other: Path) -> None:
    arrays, metrics, result = final_state(run)
    other_arrays, other_metrics, other_result = final_state(other)
    assert arrays.keys() == other_arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, other_arrays[name], err_msg=name)
    assert metrics == other_metrics
    assert result == other_result
