"""Run as a program: kill a process inside `checkpoints.save`, look at what it left, print one JSON object.

`each`: at every write, fsync, rename, mkdir and removal, in order, until a save gets through.
`first`: the same inside the first save of a run.
`random TRIALS`: by SIGKILL at random instants while checkpoints are saved one after another.
`each --bug`: with a save that removes the old checkpoints first, to show that the harness can see a loss.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.core.errors import RunError
from cnnlab.runs import checkpoints

KILLED = 9
OPERATIONS = ("fsync", "replace", "mkdir", "unlink", "rmdir", "open", "fdopen")


def arrays_of(step: int) -> dict[str, np.ndarray]:
    return {"weights": np.full(500, step, np.float32), "step": np.array(step)}


def save(folder: Path, step: int, *, best: bool = False) -> None:
    checkpoints.save(folder, arrays_of(step), {"step": step}, best=best)


class HalfWriter:
    """A file whose write gets only half of its data out before the process dies."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> "HalfWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        os._exit(KILLED)


def kill_at(number: int) -> None:
    """From now on this process dies before its `number`-th file operation, or half-way through a write."""
    count = 0

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number and name == "fdopen":
                return HalfWriter(original(*args, **kwargs))
            if count == number:
                os._exit(KILLED)
            return original(*args, **kwargs)

        return counted

    for name in OPERATIONS:
        setattr(os, name, wrap(name, getattr(os, name)))


def save_removing_first(folder: Path, step: int, *, best: bool = False) -> None:
    for path in folder.glob("step-*"):
        shutil.rmtree(path)
    save(folder, step, best=best)


def problems_after(folder: Path, at_least: int, at_most: int, best_of: Callable[[int], int]) -> list[str]:
    """What is wrong with the folder a dead process left; `best_of(last)` is the best step at step `last`.

    A best ahead of last is sound: training goes on from last and finds that best again. A best behind last is
    lost.
    """
    problems = []
    steps = {}
    for which in ("last", "best"):
        try:
            found = checkpoints.load(folder, which)
        except RunError as error:
            problems.append(f"{which}: {error}")
            continue
        steps[which] = found.step
        if which == "last" and not at_least <= found.step <= at_most:
            problems.append(f"last: step {found.step}, expected {at_least} to {at_most}")
        if not np.array_equal(found.arrays["weights"], arrays_of(found.step)["weights"]):
            problems.append(f"{which}: the arrays are not those of step {found.step}")
    if len(steps) == 2 and steps["best"] not in (best_of(steps["last"]), best_of(steps["last"] + 1)):
        problems.append(f"best: step {steps['best']} while last is {steps['last']}")
    checkpoints.sweep(folder)
    leftovers = [str(path) for path in folder.rglob("*.tmp")]
    leftovers += [str(path) for path in folder.glob("step-*") if not (path / checkpoints.MANIFEST).exists()]
    save(folder, at_most + 1)
    if checkpoints.load(folder, "last").step != at_most + 1:
        problems.append("the next save is not the last")
    return problems + leftovers


def save_and_die(run_save: Callable[..., None], folder: Path, step: int, number: int) -> int:
    """Save in a child that dies before its `number`-th file operation; its exit code, 0 if it got through."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            kill_at(number)
            run_save(folder, step, best=True)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def problems_after_first(folder: Path) -> list[str]:
    """A run killed inside its first save, once swept, has no checkpoint, or one that is both last and best."""
    checkpoints.sweep(folder)
    if checkpoints.any_saved(folder):
        lost = [] if (folder / "best.json").exists() else ["best.json is missing"]
        return problems_after(folder, 1, 1, lambda _: 1) + lost
    return [str(path) for path in folder.rglob("*")]


def kill_at_each(run_save: Callable[..., None], *, first: bool = False) -> dict[str, Any]:
    problems: list[str] = []
    number = 0
    while True:
        number += 1
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "checkpoints"
            if first:
                code = save_and_die(run_save, folder, 1, number)
                found = problems_after_first(folder)
            else:
                save(folder, 1, best=True)
                save(folder, 2)
                code = save_and_die(run_save, folder, 3, number)
                found = problems_after(folder, 2, 3, lambda last: 1 if last < 3 else 3)
            problems += [f"operation {number}: {text}" for text in found]
        if code != KILLED:
            return {"points": number - 1, "exit": code, "problems": problems}


def kill_at_random(trials: int) -> dict[str, Any]:
    problems: list[str] = []
    generator = random.Random(2)
    most_saved = 0
    for trial in range(trials):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "checkpoints"
            save(folder, 1, best=True)
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    for step in range(2, 10_000):
                        save(folder, step, best=step % 3 == 0)
                        os.write(writer, b".")
                finally:
                    os._exit(1)
            acknowledged = 1 + sum(len(os.read(reader, 1)) for _ in range(generator.randrange(5)))
            time.sleep(generator.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(writer)
            acknowledged += len(os.read(reader, 100_000))
            os.close(reader)
            most_saved = max(most_saved, acknowledged)
            found = problems_after(folder, acknowledged, acknowledged + 1, lambda last: max(1, last // 3 * 3))
            problems += [f"trial {trial}: {text}" for text in found]
    return {"points": trials, "most_saved": most_saved, "problems": problems}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["each"]:
            report = kill_at_each(save)
        case ["first"]:
            report = kill_at_each(save, first=True)
        case ["each", "--bug"]:
            report = kill_at_each(save_removing_first)
        case ["random", trials]:
            report = kill_at_random(int(trials))
    print(json.dumps(report))
