"""What someone watching a training is told. The command line shows it; programs may stay silent."""

from collections.abc import Sequence
from typing import Any, Protocol

from cnnlab.recipe import Recipe
from cnnlab.runs import Environment, RunFolder, RunResult
from cnnlab.training.hooks import Hooks


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
    """Watches nothing: what is overridden is told. See `Watcher`."""

    def on_assembled(self, *told: Any, **named: Any) -> None:
        """Told, and not shown."""

    on_start = on_step = on_epoch = on_save = on_end = on_result = on_assembled
