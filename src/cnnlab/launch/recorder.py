"""The hook that writes the run folder: metrics first, then the state after them."""

from cnnlab.engines.protocol import Engine
from cnnlab.runs import RunWriter
from cnnlab.training.hooks import Row
from cnnlab.training.progress import Progress


class Recorder:
    """See `cnnlab.training.hooks.Hooks`. Any refusal of the disk stops the training as a StorageError."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer
        self.steps_per_epoch = 0

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        pass

    def on_epoch(self, row: Row) -> None:
        self.writer.append_metrics(row)

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        step = progress.epoch * self.steps_per_epoch + progress.step_in_epoch
        self.writer.save_checkpoint(engine.state(), {"step": step, "progress": progress.to_json()}, best=best)
