"""Watching a run from its folder alone: any process can, several at once, whoever trains it and wherever."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from cnnlab.runs.metrics import Row
from cnnlab.runs.reader import RunFolder, Status


class Update(NamedTuple):
    """How a run stands, the epochs that ended since the last update, and how much is done of all epochs, 0 to 1."""

    status: Status
    rows: tuple[Row, ...]
    done: float


def watch(run: RunFolder, every: float = 0.5, since: int = 0) -> Iterator[Update]:
    """An update now and whenever something has changed, until nobody trains the run any more: the last one says why.

    `every`: seconds between two looks. `since`: epochs that are known already. Raises RunError.
    """
    told: tuple[Status, float] | None = None
    while True:
        status = run.status  # before the rows: what was written before the end is not missed
        rows = run.metrics
        now, new = (status, _done(run, status, len(rows))), tuple(rows[since:])
        since = max(
            since, len(rows)
        )  # a run that was resumed since may have to repeat an epoch: bitwise the same
        if new or now != told:
            told = now
            yield Update(status, new, now[1])
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
        return max(epochs, progress["epoch"] - 1 + within) / run.recipe.train.epochs
    return epochs / run.recipe.train.epochs
