"""Time measured apart: training, evaluation and saving are different clocks, all monotonic."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Seconds per phase, for the whole run (also over its resumes) and for the epoch under way."""

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
            self.total[phase] = self.total.get(phase, 0.0) + seconds
            self.epoch[phase] = self.epoch.get(phase, 0.0) + seconds

    def start_epoch(self) -> None:
        """Set the epoch's seconds to zero."""
        self.epoch.clear()

    def elapsed(self) -> float:
        """Seconds of all phases of the run together."""
        return sum(self.total.values())
