"""What someone watching a training is told. The command line shows it; programs may stay silent."""

from collections.abc import Sequence
from typing import Protocol

from cnnlab.engines.protocol import Engine
from cnnlab.recipe import Recipe
from cnnlab.runs import Environment, RunFolder, RunResult
from cnnlab.training.hooks import Hooks, Row
from cnnlab.training.progress import Progress


class Watcher(Hooks, Protocol):
    """The loop's hooks, and what comes before and after them."""

    def on_assembled(
        self, run: RunFolder, recipe: Recipe, environment: Environment, notes: Sequence[str]
    ) -> None:
        """Everything is chosen and checked; the first step is next."""

    def on_end(self) -> None:
        """The loop has ended, in whatever way."""

    def on_result(self, run: RunFolder, result: RunResult) -> None:
        """The run is complete."""


class Silent:
    """Watches nothing."""

    def on_assembled(
        self, run: RunFolder, recipe: Recipe, environment: Environment, notes: Sequence[str]
    ) -> None:
        pass

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        pass

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        pass

    def on_epoch(self, row: Row) -> None:
        pass

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_result(self, run: RunFolder, result: RunResult) -> None:
        pass
