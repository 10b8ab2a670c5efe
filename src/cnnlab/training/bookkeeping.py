"""The records of one run: the counters that a resume needs, seconds per phase, rows of metrics, early stopping.

They know no engine: the loop runs the steps and passes each run its numbers, so that several runs can share a step.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from cnnlab.core.errors import DivergedError, RunError
from cnnlab.engines.protocol import EpochTotals
from cnnlab.optim.plateau import Flat
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.recipe.schedule import Plateau
from cnnlab.recipe.sections import EarlyStop
from cnnlab.training.diagnosis import likely_cause_of_divergence

Scores = Mapping[str, tuple[float, float]]
"""Split -> its loss and accuracy."""


@dataclass(frozen=True)
class Progress:
    """Finished epochs, finished steps of the current epoch, and the best epoch by val so far.

    `improved_epoch` is the last one that beat `improved_accuracy`, or `improved_loss` where early stopping monitors the
    loss, by more than its `min_delta`. `plateau`: what the plateau schedule remembers.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    best_epoch: int | None = None
    best_val_accuracy: float | None = None
    best_val_loss: float | None = None
    improved_epoch: int = 0
    improved_accuracy: float = 0.0
    improved_loss: float | None = None
    plateau: Flat = field(default_factory=Flat)
    total_seconds: dict[str, float] = field(default_factory=dict)
    epoch_seconds: dict[str, float] = field(default_factory=dict)

    def with_validation(self, epoch: int, val_accuracy: float, val_loss: float, early: EarlyStop) -> Self:
        """After the evaluation of `epoch` (from 1). Best: highest val accuracy; at equal accuracy lowest loss."""
        progress = self
        if early.monitor == "val_accuracy":
            if val_accuracy > self.improved_accuracy + early.min_delta:
                progress = replace(progress, improved_epoch=epoch, improved_accuracy=val_accuracy)
        elif self.improved_loss is None or val_loss < self.improved_loss - early.min_delta:
            progress = replace(progress, improved_epoch=epoch, improved_loss=val_loss)
        if self.best_val_accuracy is not None and self.best_val_loss is not None:
            best = (self.best_val_accuracy, -self.best_val_loss)
            if (val_accuracy, -val_loss) <= best:
                return progress
        return replace(progress, best_epoch=epoch, best_val_accuracy=val_accuracy, best_val_loss=val_loss)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Raises RunError where the values are not those of a checkpoint of this version."""
        try:
            return cls(**{**values, "plateau": Flat(*values.get("plateau", ()))})
        except TypeError as error:
            raise RunError(f"the checkpoint was written by another version of cnnlab: {error}") from error


class Clock:
    """Seconds per phase (train, eval, save): of the whole run with all its resumes, and of the current epoch."""

    def __init__(self, total: Mapping[str, float], epoch: Mapping[str, float]) -> None:
        self.total = dict(total)
        self.epoch = dict(epoch)

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to `phase`, also when it ends with an exception."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            for clock in (self.total, self.epoch):
                clock[phase] = clock.get(phase, 0.0) + seconds


@dataclass
class Bookkeeping:
    """The records of one run, starting at `progress`. Only `step_done`, `close_epoch` and `saved` change them."""

    recipe: Recipe
    steps_per_epoch: int
    progress: Progress

    @property
    def is_over(self) -> bool:
        """Whether the last epoch is done, or early stopping has waited long enough."""
        early, done = self.recipe.train.early_stop, self.progress.epoch
        patient = early is None or done - self.progress.improved_epoch < early.patience
        return self.is_out_of_budget or not patient

    @property
    def is_out_of_budget(self) -> bool:
        """Whether the last epoch is done."""
        return self.progress.epoch >= self.recipe.train.total_epochs(self.steps_per_epoch)

    @property
    def steps_in_epoch(self) -> int:
        """The steps of the current epoch: the last one may be a part, where the budget is a number of steps."""
        return min(self.steps_per_epoch, self._total_steps - self.progress.epoch * self.steps_per_epoch)

    @property
    def _total_steps(self) -> int:
        return self.recipe.train.total_steps(self.steps_per_epoch)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are scored after each epoch."""
        val = ("val",) if self.recipe.data.val else ()
        return (*val, "test") if self.recipe.train.test_curve else val

    def lr(self, step_in_epoch: int) -> float:
        """The learning rate of a step of the current epoch."""
        schedule, base, step = self.recipe.schedule, self.recipe.optim.lr, self._step(step_in_epoch)
        reductions = self.progress.plateau.reductions
        return lr_at(schedule, base, step, self.steps_per_epoch, self._total_steps, reductions)

    def row(self, totals: EpochTotals, scores: Scores, clock: Clock) -> dict[str, Any]:
        """The line of metrics of the current epoch after its last step. Raises DivergedError."""
        last_step = self.steps_in_epoch - 1
        row: dict[str, Any] = {
            "epoch": self.progress.epoch + 1,
            "step": self._step(last_step) + 1,
            "lr": self.lr(last_step),
            "train_loss": totals.loss / totals.images,
            "train_accuracy": totals.correct / totals.images,
        }
        if self.recipe.train.swa is not None:
            row["averaged"] = self._is_averaged(self._step(last_step) + 1)
        for split, (loss, accuracy) in scores.items():
            if not math.isfinite(loss):
                raise self.diverged(f"loss on {split}", last_step)
            row |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        return row | {
            "images_per_second": totals.images / clock.epoch["train"],
            "train_seconds": clock.epoch["train"],
            "eval_seconds": clock.epoch["eval"],
            "elapsed_seconds": sum(clock.total.values()),
        }

    def _is_averaged(self, steps: int) -> bool:
        """Whether there is a stochastic average (SWA) after so many steps."""
        swa = self.recipe.train.swa
        return swa is not None and steps > swa.start.steps(self.steps_per_epoch, self._total_steps)

    def step_done(self, step_in_epoch: int) -> None:
        """Record that a step (from 0) of the current epoch is done."""
        self.progress = replace(self.progress, step_in_epoch=step_in_epoch + 1)

    def close_epoch(self, row: Mapping[str, Any]) -> bool:
        """Record the end of an epoch; returns whether it is the best so far by val."""
        progress, epoch = self.progress, self.progress.epoch + 1
        if "val_accuracy" in row:
            if row.get("averaged") and not self._is_averaged(progress.epoch * self.steps_per_epoch):
                # The first average: epochs before it scored other weights than those that are asked for.
                progress = replace(progress, best_epoch=None, best_val_accuracy=None, best_val_loss=None)
            early, schedule = self.recipe.train.early_stop or EarlyStop(), self.recipe.schedule
            progress = progress.with_validation(epoch, row["val_accuracy"], row["val_loss"], early)
            if isinstance(schedule, Plateau):
                progress = replace(progress, plateau=progress.plateau.after(row[schedule.monitor], schedule))
        is_best = progress.best_epoch != self.progress.best_epoch
        self.progress = replace(progress, epoch=epoch, step_in_epoch=0)
        return is_best

    def saved(self, clock: Clock) -> None:
        """Record the seconds so far: they are part of the checkpoint."""
        self.progress = replace(self.progress, total_seconds=dict(clock.total), epoch_seconds=dict(clock.epoch))

    def diverged(self, what: str, step_in_epoch: int) -> DivergedError:
        """The error for a number that is not finite, with its step and a likely cause."""
        step, lr = self._step(step_in_epoch), self.lr(step_in_epoch)
        where = f"step {step + 1} (epoch {self.progress.epoch + 1}, lr {lr:g})"
        cause = likely_cause_of_divergence(self.recipe, lr, step)
        return DivergedError(f"the {what} is not finite at {where}; {cause}")

    def _step(self, step_in_epoch: int) -> int:
        """The step's number in the whole training, from 0."""
        return self.progress.epoch * self.steps_per_epoch + step_in_epoch
