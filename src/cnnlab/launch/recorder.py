"""Writes the run folder during a training: metrics first, then the state after them; reads requests to stop."""

import time

from cnnlab.engines.protocol import Engine
from cnnlab.runs import RunWriter
from cnnlab.training.hooks import Row, Watcher
from cnnlab.training.progress import Progress
from cnnlab.training.signals import StopRequest

_SECONDS_BETWEEN_CHECKS = 0.5


class Recorder(Watcher):
    """A write that fails stops the training with a StorageError."""

    def __init__(self, writer: RunWriter, stop: StopRequest) -> None:
        self.writer = writer
        self.stop = stop
        self.steps_per_epoch = 0
        self.checked_at = time.monotonic()

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._check_for_stop()

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if time.monotonic() - self.checked_at >= _SECONDS_BETWEEN_CHECKS:
            self._check_for_stop()
            self.writer.write_progress(
                {"epoch": epoch, "step_in_epoch": step_in_epoch, "steps_per_epoch": self.steps_per_epoch}
            )

    def on_epoch(self, row: Row) -> None:
        self.writer.append_metrics(row)
        self._check_for_stop()

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        step = progress.epoch * self.steps_per_epoch + progress.step_in_epoch
        self.writer.save_checkpoint(engine.state(), {"step": step, "progress": progress.to_json()}, best=best)

    def _check_for_stop(self) -> None:
        self.checked_at = time.monotonic()
        if self.writer.is_asked_to_stop:
            self.stop.stop()
