"""The calls to other code during a training. The loop itself prints, draws and stores nothing.

on_assembled(run, recipe, environment, notes)
on_start(progress, steps_per_epoch)
for epoch:
    for step:
        engine.train_step
        on_step(epoch, step_in_epoch)
        if asked to stop, or a checkpoint is due: on_save(engine, progress, best=False)     # in the middle of an epoch
    evaluate val (and test curve)
    on_epoch(row)                                                               # metrics first,
    on_save(engine, progress, best)                                             # then the state after them
on_end()
on_result(run, result)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnlab.engines.protocol import Engine
from cnnlab.recipe import Recipe
from cnnlab.runs import Environment, RunFolder, RunResult
from cnnlab.training.bookkeeping import Progress

Row = Mapping[str, Any]


class Watcher:
    """Each method does nothing: override those that you need. An error raised in one stops the training."""

    def on_assembled(self, run: RunFolder, recipe: Recipe, environment: Environment, notes: Sequence[str]) -> None:
        """Everything is chosen and checked; the first step is next."""

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        """Training begins or continues."""

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        """A step (from 1) of an epoch (from 1) is done."""

    def on_epoch(self, row: Row) -> None:
        """An epoch is done; `row` is its line of metrics."""

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        """The state to continue from is `engine.state()` with `progress`; `best`: it is the best by val."""

    def on_end(self) -> None:
        """The loop has ended, with or without an error."""

    def on_result(self, run: RunFolder, result: RunResult) -> None:
        """The run is complete."""
