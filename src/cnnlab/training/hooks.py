"""Where others join the loop. The loop itself prints, draws and stores nothing.

on_start(progress)
for epoch:
    for step:
        engine.train_step
        on_step(progress)
        if asked to stop, or a checkpoint is due: on_save(engine, progress)     # in the middle of an epoch
    evaluate val (and test curve)
    on_epoch(row)                                                               # metrics first,
    on_save(engine, progress, best)                                             # then the state after them
"""

from collections.abc import Mapping
from typing import Any, Protocol

from cnnlab.engines.protocol import Engine
from cnnlab.training.progress import Progress

Row = Mapping[str, Any]


class Hooks(Protocol):
    """What a run folder, a progress bar or a test implements. Errors raised here stop the training."""

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        """Training is about to begin, or to go on."""

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        """A step (from 1) of an epoch (from 1) is done."""

    def on_epoch(self, row: Row) -> None:
        """An epoch is done; `row` is its line of metrics."""

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        """The state to continue from is `engine.state()` with `progress`; `best`: it is the best by val."""


class HookList:
    """Several hooks, called in the order given: writers before those that only show."""

    def __init__(self, *hooks: Hooks) -> None:
        self.hooks = hooks

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        for hook in self.hooks:
            hook.on_start(progress, steps_per_epoch)

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        for hook in self.hooks:
            hook.on_step(epoch, step_in_epoch)

    def on_epoch(self, row: Row) -> None:
        for hook in self.hooks:
            hook.on_epoch(row)

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        for hook in self.hooks:
            hook.on_save(engine, progress, best)
