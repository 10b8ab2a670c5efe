"""The hook that writes the run folder: metrics first, then the state after them; and that reads requests to stop."""

import time

from cnnlab.engines.protocol import Engine
from cnnlab.runs import RunWriter
from cnnlab.training.hooks import Row
from cnnlab.training.progress import Progress
from cnnlab.training.signals import StopRequest

_LOOK_EVERY = 0.5


class Recorder:
    """See `cnnlab.training.hooks.Hooks`. Any refusal of the disk stops the training as a StorageError."""

    def __init__(self, writer: RunWriter, stop: StopRequest) -> None:
        self.writer = writer
        self.stop = stop
        self.steps_per_epoch = 0
        self.looked = time.monotonic()

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._look()

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if time.monotonic() - self.looked >= _LOOK_EVERY:
            self._look()
            self.writer.write_progress(
                {"epoch": epoch, "step_in_epoch": step_in_epoch, "steps_per_epoch": self.steps_per_epoch}
            )

    def on_epoch(self, row: Row) -> None:
        self.writer.append_metrics(row)
        self._look()

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        step = progress.epoch * self.steps_per_epoch + progress.step_in_epoch
        self.writer.save_checkpoint(engine.state(), {"step": step, "progress": progress.to_json()}, best=best)

    def _look(self) -> None:
        self.looked = time.monotonic()
        if self.writer.is_asked_to_stop:
            self.stop.stop()
