"""Run one training program in a new process and measure from outside its speed, start time and memory.

A program prints one JSON line per epoch, with `train_s`, `eval_s` and `images_per_s`. The yardstick prints them, and
`bench.worker` does so for cnnlab: both are measured in the same way.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.memory import MemoryWatch
from cnnlab.core.errors import CnnlabError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measurement:
    """One program: speed, seconds of the last epoch, seconds from its start to its first step, peak bytes."""

    images_per_second: float
    train_seconds: float
    eval_seconds: float
    ready_seconds: float
    peak_memory: int | None


class ProgramError(CnnlabError):
    """A measured program failed; the message contains the end of its stderr."""


def measure(command: Sequence[str], threads: int) -> Measurement:
    """Run `command` to its end; the speed is that of its last epoch. Raises ProgramError."""
    epochs: list[tuple[float, Mapping[str, float]]] = []
    with tempfile.TemporaryFile("w+") as errors:
        code, peak = _watched(command, threads, errors, epochs)
        if code or not epochs:
            errors.seek(0)
            raise ProgramError(_failure(command, code, errors.read()))
    (first_arrival, first), (_, last) = epochs[0], epochs[-1]
    return Measurement(
        images_per_second=last["images_per_s"],
        train_seconds=last["train_s"],
        eval_seconds=last["eval_s"],
        ready_seconds=first_arrival - first["train_s"] - first["eval_s"],
        peak_memory=peak,
    )


def _watched(
    command: Sequence[str], threads: int, errors: IO[str], epochs: list[tuple[float, Mapping[str, float]]]
) -> tuple[int, int | None]:
    """Run to the end; append each epoch's line and its time in seconds. Returns exit code and peak memory."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(threads),
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,  # a process group of its own, to measure and end it with its workers
    ) as process:
        watch = MemoryWatch(process.pid)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    epochs.append((time.perf_counter() - start, json.loads(line)))
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            peak = watch.stop()
    return process.returncode, peak


def run_json(command: Sequence[str], threads: int) -> dict[str, object]:
    """The JSON object that `command` prints. Raises ProgramError."""
    done = subprocess.run(command, cwd=ROOT, env=_environment(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProgramError(_failure(command, done.returncode, done.stderr))
    value: dict[str, object] = json.loads(done.stdout)
    return value


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}


def _failure(command: Sequence[str], code: int, errors: str) -> str:
    last = "\n".join(errors.splitlines()[-20:])
    return f"exit code {code} without a full result from: {' '.join(command)}\n{last}"
