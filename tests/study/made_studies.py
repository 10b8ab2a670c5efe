"""Studies that train nothing: finished run folders as a training would leave them, and workers that only pretend."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.data import load
from cnnlab.recipe import Recipe
from cnnlab.runs import RunWriter
from cnnlab.study.worker import Job
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


class FakeWorker:
    """Ends with the codes it was given, one at each look; what it was asked is kept."""

    def __init__(self, codes: Sequence[int | None]) -> None:
        self.codes = list(codes)
        self.asked: list[signal.Signals] = []
        self.ended = False

    def poll(self) -> int | None:
        return self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]

    def ask(self, number: signal.Signals) -> None:
        self.asked.append(number)
        self.codes = [143]

    def end(self) -> None:
        self.ended = True


class FakeCrew:
    """Starts fake workers. `behave`: recipe, attempt -> exit code, and how the run ends ("nothing": none begins)."""

    def __init__(self, root: Path, behave: Callable[[Recipe, int], tuple[int, str]] | None = None) -> None:
        self.root, self.behave = root, behave or (lambda recipe, attempt: (0, "complete"))
        self.jobs: list[Job] = []
        self.workers: list[FakeWorker] = []
        self.busy = 0

    def start(self, job: Job, log: Path) -> FakeWorker:
        recipe = Recipe.from_dict(job.recipe)
        self.jobs.append(job)
        attempt = sum(1 for one in self.jobs if one.recipe == job.recipe)
        code, state = self.behave(recipe, attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"worker says {state}\n")
        if state == "complete" and job.resume:
            (Path(job.resume) / "result.json").write_text(json.dumps(result_of().to_json()))
            (Path(job.resume) / "COMPLETE").write_text("")
        elif state != "nothing" and not job.resume:
            write_run(self.root, recipe, val=0.5 + recipe.optim.lr + recipe.seed / 1000, state=state)
        self.workers.append(FakeWorker([None, code]))
        return self.workers[-1]


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
