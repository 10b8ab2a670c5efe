"""Studies that train nothing: run folders as a training would leave them, and a launcher that only pretends."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.data import load
from cnnlab.launch.launcher import Failure, Job, Slot
from cnnlab.recipe import Recipe
from cnnlab.runs import RunWriter
from made_values import environment_of, result_of

DATA = {
    "name": "shapes",
    "digest": load("shapes").digest,
    "images": {"train": 900, "val": 300, "test": 10},
}


def write_run(
    root: Path,
    recipe: Recipe,
    *,
    val: float = 0.6,
    state: str = "complete",
    seconds: float = 2.0,
    **environment: Any,
) -> Path:
    """A run of two epochs, a second each, that ended as `state`; `environment` is what is special about its own."""
    facts = {**environment, "data": {**DATA, **environment.get("data", {})}}
    writer = RunWriter.create(root, recipe, environment_of(recipe, **facts))
    for epoch in (1, 2):
        writer.append_metrics(
            {"epoch": epoch, "val_accuracy": val, "train_accuracy": val, "elapsed_seconds": float(epoch)}
        )
    if state == "complete":
        logits, labels = np.zeros((2, 3), np.float32), np.zeros(2, np.int64)
        writer.write_predictions("test", logits, labels, labels)
        accuracy = {"train": val, "val": val, "test": val}
        writer.finish(result_of(accuracy=accuracy, seconds={"train": seconds}))
    else:
        writer.stop(state, f"it was {state}")  # type: ignore[arg-type]
    return writer.path


class FakeLauncher:
    """Trains nothing. `behave`: recipe, attempt -> exit code, and how the run ends ("nothing": none begins).

    A job ends at the second look at it. What it leaves on disk is what a training leaves; a negative code is a signal
    that killed it. `endless`: jobs run until they are stopped; `deaf`: until they are ended.
    """

    def __init__(
        self,
        root: Path,
        behave: Callable[[Recipe, int], tuple[int, str]] | None = None,
        *,
        endless: bool = False,
        deaf: bool = False,
    ) -> None:
        self.root, self.behave = root, behave or (lambda recipe, attempt: (0, "complete"))
        self.endless, self.deaf = endless, deaf
        self.jobs: list[Job] = []
        self.polls: dict[Slot, list[str | None]] = {}
        self.stopped: list[Slot] = []
        self.ended: list[Slot] = []
        self.is_closed = False

    def start(self, slot: Slot, job: Job) -> None:
        assert self.polls.get(slot) != [None], "one job at a time"
        recipe = Recipe.from_dict(job.recipe)
        self.jobs.append(job)
        code, state = self.behave(recipe, sum(1 for one in self.jobs if one.recipe == job.recipe))
        if state == "complete" and job.resume:
            RunWriter.reopen(job.resume).finish(result_of())
        elif state != "nothing" and not job.resume:
            write_run(self.root, recipe, val=0.5 + recipe.optim.lr + recipe.seed / 1000, state=state)
        if code > 0:
            Failure(f"it says {state}", code).write(job.failure, job.name)
        words = f"killed by signal {-code}" if code < 0 else ""
        self.polls[slot] = [None] if self.endless else [None, words]

    def poll(self, slot: Slot) -> str | None:
        polls = self.polls[slot]
        return polls.pop(0) if len(polls) > 1 else polls[0]

    def stop(self, slot: Slot) -> None:
        self.stopped.append(slot)
        if not self.deaf:
            self.polls[slot] = [""]

    def end(self, slot: Slot) -> None:
        self.ended.append(slot)

    def close(self) -> None:
        self.is_closed = True


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ticks: Callable[[], None] = lambda: None
        self.workers = 0

    def on_begin(self, runs: Any, todo: Any, workers: int, threads: int) -> None:
        self.workers = workers

    def on_start(self, record: Any, attempt: int) -> None:
        self.lines.append(f"start {record.cell} {attempt}")

    def on_end(self, cell: Any, outcome: str) -> None:
        self.lines.append(f"end {cell}: {outcome}")

    def on_tick(self) -> None:
        self.ticks()

    def on_close(self) -> None:
        self.lines.append("close")
