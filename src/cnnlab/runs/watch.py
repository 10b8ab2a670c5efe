"""Watching a run by reading its folder: from any process, also several at once, wherever the run is trained."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from cnnlab.runs.metrics import Row
from cnnlab.runs.reader import RunFolder, Status


class Update(NamedTuple):
    """The status, the rows of epochs that ended since the last update, and the finished share of all epochs, 0 to 1."""

    status: Status
    rows: tuple[Row, ...]
    done: float


def watch(run: RunFolder, every: float = 0.5, since: int = 0) -> Iterator[Update]:
    """An update now and after each change, until no process trains the run any more; the last one has the reason.

    `every`: seconds between two reads. `since`: epochs that are known already. Raises RunError.
    """
    reported: tuple[Status, float] | None = None
    while True:
        status = run.status  # before the rows, so that no row of a run that has ended is missed
        rows = run.metrics
        current, new = (status, _done(run, status, len(rows))), tuple(rows[since:])
        since = max(since, len(rows))  # a resumed run may repeat an epoch, bitwise equal
        if new or current != reported:
            reported = current
            yield Update(status, new, current[1])
        if status.state != "running":
            return
        time.sleep(every)


def _done(run: RunFolder, status: Status, epochs: int) -> float:
    """Early stopping can complete a run before its last epoch."""
    if status.state == "complete":
        return 1.0
    progress = run.progress
    if progress is not None:
        within = progress["step_in_epoch"] / progress["steps_per_epoch"]
        return max(epochs, progress["epoch"] - 1 + within) / run.total_epochs
    return epochs / run.total_epochs if epochs else 0.0
