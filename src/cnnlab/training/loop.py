"""The training loop: epochs of steps, evaluation after each, checkpoints between. Knows no framework."""

import math
import time
from dataclasses import replace
from typing import Any

from cnnlab.core.errors import DivergedError, Interrupted
from cnnlab.engines.evaluation import accuracy, cross_entropy
from cnnlab.engines.protocol import Engine
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.training.clock import Clock
from cnnlab.training.diagnosis import likely_cause_of_divergence
from cnnlab.training.hooks import Hooks
from cnnlab.training.progress import Progress
from cnnlab.training.signals import StopRequest

# A device is asked for its first bad loss only so often: asking makes it finish what it was given.
_STEPS_BETWEEN_LOSS_CHECKS = 20


class Loop:
    """One training from `progress` to its end. `run` returns the final progress."""

    def __init__(
        self,
        recipe: Recipe,
        engine: Engine,
        hooks: Hooks,
        stop: StopRequest,
        progress: Progress,
        *,
        check_every_step: bool,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self.recipe = recipe
        self.engine = engine
        self.hooks = hooks
        self.stop = stop
        self.progress = progress
        self.check_interval = 1 if check_every_step else _STEPS_BETWEEN_LOSS_CHECKS
        self.checkpoint_seconds = checkpoint_seconds
        self.total_steps = recipe.train.epochs * engine.steps_per_epoch
        self.clock = Clock(progress.total_seconds, progress.epoch_seconds)

    def run(self) -> Progress:
        """Train to the last epoch or to an early stop.

        Raises DivergedError with the step and a likely cause, and Interrupted after saving.
        """
        self.hooks.on_start(self.progress, self.engine.steps_per_epoch)
        self._saved_at = time.perf_counter()
        while self.progress.epoch < self.recipe.train.epochs and not self._out_of_patience():
            self._train_epoch()
            self._finish_epoch()
        return self.progress

    def _train_epoch(self) -> None:
        epoch, resumed_at = self.progress.epoch, self.progress.step_in_epoch
        if not resumed_at:
            with self.clock.measure("train"):
                self.engine.start_epoch(epoch)
        for step in range(resumed_at, self.engine.steps_per_epoch):
            with self.clock.measure("train"):
                self.engine.train_step(step, self._lr(epoch, step))
                last = step + 1 == self.engine.steps_per_epoch
                if last or (step + 1) % self.check_interval == 0:
                    self._check_loss()
            self.progress = replace(self.progress, step_in_epoch=step + 1)
            self.hooks.on_step(epoch + 1, step + 1)
            if not last:
                self._save_if_due()

    def _finish_epoch(self) -> None:
        epoch = self.progress.epoch
        with self.clock.measure("train"):
            totals = self.engine.totals()  # waits for the device: its work belongs to training
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * self.engine.steps_per_epoch,
            "lr": self._lr(epoch, self.engine.steps_per_epoch - 1),
            "train_loss": totals.loss / totals.images,
            "train_accuracy": totals.correct / totals.images,
        }
        with self.clock.measure("eval"):
            row |= self._evaluate()
        train_seconds = self.clock.epoch["train"]
        row |= {
            "images_per_second": totals.images / train_seconds,
            "train_seconds": train_seconds,
            "eval_seconds": self.clock.epoch["eval"],
            "elapsed_seconds": self.clock.elapsed(),
        }
        self._advance(row)

    def _advance(self, row: dict[str, Any]) -> None:
        epoch = self.progress.epoch + 1
        before = self.progress.best_epoch
        if "val_accuracy" in row:
            early = self.recipe.train.early_stop
            min_delta = early.min_delta if early else 0.0
            self.progress = self.progress.with_validation(
                epoch, row["val_accuracy"], row["val_loss"], min_delta
            )
        best = self.progress.best_epoch != before
        self.progress = replace(self.progress, epoch=epoch, step_in_epoch=0)
        self.clock.start_epoch()
        with self.clock.measure("save"):
            self.hooks.on_epoch(row)
        self._save(best)
        if self.stop and epoch < self.recipe.train.epochs:
            raise self._interrupted()

    def _evaluate(self) -> dict[str, float]:
        splits = ["val"] if self.recipe.data.val else []
        splits += ["test"] if self.recipe.train.test_curve else []
        row = {}
        for split in splits:
            logits, labels = self.engine.logits(split), self.engine.labels(split)
            row[f"{split}_loss"] = cross_entropy(logits, labels)
            row[f"{split}_accuracy"] = accuracy(logits, labels)
            if not math.isfinite(row[f"{split}_loss"]):
                raise self._diverged(f"loss on {split}", self.engine.steps_per_epoch - 1)
        return row

    def _lr(self, epoch: int, step_in_epoch: int) -> float:
        step = epoch * self.engine.steps_per_epoch + step_in_epoch
        base = self.recipe.optim.lr
        return lr_at(self.recipe.schedule, base, step, self.engine.steps_per_epoch, self.total_steps)

    def _check_loss(self) -> None:
        bad = self.engine.first_bad_step()
        if bad is None:
            return
        raise self._diverged("loss", bad)

    def _diverged(self, what: str, step_in_epoch: int) -> DivergedError:
        epoch = self.progress.epoch
        step, lr = epoch * self.engine.steps_per_epoch + step_in_epoch, self._lr(epoch, step_in_epoch)
        where = f"step {step + 1} (epoch {epoch + 1}, lr {lr:g})"
        cause = likely_cause_of_divergence(self.recipe, lr, step)
        return DivergedError(f"the {what} is not finite at {where}; {cause}")

    def _out_of_patience(self) -> bool:
        early = self.recipe.train.early_stop
        return early is not None and self.progress.epoch - self.progress.improved_epoch >= early.patience

    def _save_if_due(self) -> None:
        if not self.stop and time.perf_counter() - self._saved_at < self.checkpoint_seconds:
            return
        self._check_loss()  # weights that went bad since the last check must not become a checkpoint
        self._save(best=False)
        if self.stop:
            raise self._interrupted()

    def _save(self, best: bool) -> None:
        with self.clock.measure("save"):
            self.progress = replace(
                self.progress, total_seconds=dict(self.clock.total), epoch_seconds=dict(self.clock.epoch)
            )
            self.hooks.on_save(self.engine, self.progress, best)
        self._saved_at = time.perf_counter()

    def _interrupted(self) -> Interrupted:
        at = f"epoch {self.progress.epoch + 1}, step {self.progress.step_in_epoch}"
        return Interrupted(f"stopped and saved at {at}", self.stop.exit_code)
