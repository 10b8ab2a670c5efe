"""The training loop: epochs of steps, evaluation after each, checkpoints between. Knows no framework."""

import time
from collections.abc import Sequence
from dataclasses import InitVar, dataclass

from cnnlab.core.errors import Interrupted
from cnnlab.engines.evaluation import accuracy, cross_entropy
from cnnlab.engines.protocol import Engine
from cnnlab.recipe import Recipe
from cnnlab.training.bookkeeping import Bookkeeping, Clock, Progress
from cnnlab.training.hooks import Watcher
from cnnlab.training.signals import StopRequest

# The loss is checked after this many steps only: each check waits until the device has finished its work.
_STEPS_BETWEEN_LOSS_CHECKS = 20


@dataclass
class Loop:
    """One training from `progress` to its end; `watchers` are called in their order: writers before displays."""

    recipe: Recipe
    engine: Engine
    watchers: Sequence[Watcher]
    stop: StopRequest
    progress: InitVar[Progress]
    check_every_step: bool
    checkpoint_seconds: float = 60.0

    def __post_init__(self, progress: Progress) -> None:
        self.records = Bookkeeping(self.recipe, self.engine.steps_per_epoch, progress)
        self.clock = Clock(progress.total_seconds, progress.epoch_seconds)

    def run(self) -> Progress:
        """Train to the last epoch or to an early stop; returns the final progress.

        Raises DivergedError with the step and a likely cause, and Interrupted after saving.
        """
        for watcher in self.watchers:
            watcher.on_start(self.records.progress, self.engine.steps_per_epoch)
        self._saved_at = time.perf_counter()
        while not self.records.is_over:
            self._train_epoch()
            self._finish_epoch()
        return self.records.progress

    def _train_epoch(self) -> None:
        epoch, resumed_at = self.records.progress.epoch, self.records.progress.step_in_epoch
        if not resumed_at:
            with self.clock.measure("train"):
                self.engine.start_epoch(epoch)
        steps = self.records.steps_in_epoch
        for step in range(resumed_at, steps):
            with self.clock.measure("train"):
                self.engine.train_step(step, self.records.lr(step))
                last = step + 1 == steps
                if last or self.check_every_step or (step + 1) % _STEPS_BETWEEN_LOSS_CHECKS == 0:
                    self._check_loss()
            self.records.step_done(step)
            for watcher in self.watchers:
                watcher.on_step(epoch + 1, step + 1)
            if not last:
                self._save_if_due()

    def _finish_epoch(self) -> None:
        with self.clock.measure("train"):
            totals = self.engine.totals()  # waits for the device: its work belongs to training
        with self.clock.measure("eval"):
            scores = {split: self._score(split) for split in self.records.splits}
        row = self.records.row(totals, scores, self.clock)
        is_best = self.records.close_epoch(row)
        self.clock.epoch.clear()
        with self.clock.measure("save"):
            for watcher in self.watchers:
                watcher.on_epoch(row)
        self._save(is_best)
        if self.stop and not self.records.is_out_of_budget:
            raise self._interrupted()

    def _score(self, split: str) -> tuple[float, float]:
        logits, labels = self.engine.logits(split), self.engine.labels(split)
        return cross_entropy(logits, labels), accuracy(logits, labels)

    def _check_loss(self) -> None:
        bad = self.engine.first_bad_step()
        if bad is not None:
            raise self.records.diverged("loss", bad)

    def _save_if_due(self) -> None:
        if not self.stop and time.perf_counter() - self._saved_at < self.checkpoint_seconds:
            return
        self._check_loss()  # no checkpoint of weights that have become bad since the last check
        self._save(is_best=False)
        if self.stop:
            raise self._interrupted()

    def _save(self, is_best: bool) -> None:
        with self.clock.measure("save"):
            self.records.saved(self.clock)
            for watcher in self.watchers:
                watcher.on_save(self.engine, self.records.progress, is_best)
        self._saved_at = time.perf_counter()

    def _interrupted(self) -> Interrupted:
        at = f"epoch {self.records.progress.epoch + 1}, step {self.records.progress.step_in_epoch}"
        return Interrupted(f"stopped and saved at {at}", self.stop.exit_code)
