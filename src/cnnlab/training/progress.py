"""Where a training stands: the counters that, with the engine's state, a resume needs; and the clocks of its phases."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from cnnlab.core.errors import RunError


@dataclass(frozen=True)
class Progress:
    """Finished epochs, finished steps of the current epoch, and the best epoch by val so far.

    `improved_epoch` is the last one that beat `improved_accuracy` by more than early stopping's `min_delta`.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    best_epoch: int | None = None
    best_val_accuracy: float | None = None
    best_val_loss: float | None = None
    improved_epoch: int = 0
    improved_accuracy: float = 0.0
    total_seconds: dict[str, float] = field(default_factory=dict)
    epoch_seconds: dict[str, float] = field(default_factory=dict)

    def with_validation(self, epoch: int, val_accuracy: float, val_loss: float, min_delta: float) -> Self:
        """After the evaluation of `epoch` (from 1). Best: highest val accuracy; at equal accuracy lowest loss."""
        progress = self
        if val_accuracy > self.improved_accuracy + min_delta:
            progress = replace(progress, improved_epoch=epoch, improved_accuracy=val_accuracy)
        if self.best_val_accuracy is not None and self.best_val_loss is not None:
            best = (self.best_val_accuracy, -self.best_val_loss)
            if (val_accuracy, -val_loss) <= best:
                return progress
        return replace(progress, best_epoch=epoch, best_val_accuracy=val_accuracy, best_val_loss=val_loss)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Raises RunError where the values are not those of a checkpoint of this version."""
        try:
            return cls(**values)
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
