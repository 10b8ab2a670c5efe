"""Parallel trainings on this machine: its division into slots, and a launcher with a worker for each slot.

A worker is a process that imports the engine once and then takes one job after the other (`local_worker`).
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal

from cnnlab.core.cores import usable_cores
from cnnlab.core.files import storage_errors
from cnnlab.launch.launcher import Job, Slot

# t threads are assumed to be t ** 0.7 times as fast as one. Small networks gain less (SimpleNN on two cores: a third),
# so with this power several workers are chosen only where they are surely faster.
THREADS_POWER = 0.7
# Memory of one worker on the device: weights and batches of small networks, the data set, the libraries.
_WORKER_BYTES = 3 * 2**29
_SECONDS_TO_EXIT = 5.0


def local_slots(
    wanted: int | Literal["auto"],
    num_jobs: int,
    threads: int | None = None,
    memory: int | None = None,
    device: str = "auto",
) -> tuple[Slot, ...]:
    """This machine divided into slots for that many jobs. `threads` None: as many as a slot has cores.

    `memory` is the number of free bytes of the device.
    """
    cores, num_jobs = usable_cores(), max(1, num_jobs)
    if wanted == "auto":
        wanted = choose_workers(num_jobs, max(1, len(cores) // (threads or 1)), memory)
    parts = split_cores(cores, min(wanted, num_jobs))
    threads, each = threads or max(1, len(parts[0])), None if memory is None else memory // len(parts)
    return tuple(Slot(number, part, threads, device, each) for number, part in enumerate(parts))


def choose_workers(num_jobs: int, num_cores: int, memory: int | None = None) -> int:
    """The number of workers that finish that many equal trainings first. `memory`: free bytes of the device.

    Each gets `num_cores // workers` threads. Several parallel trainings use the cores better than one training on all
    cores, but cores are idle where fewer trainings than workers are left.
    """

    def rounds(workers: int) -> float:
        return math.ceil(num_jobs / workers) / math.pow(num_cores // workers, THREADS_POWER)

    most = min(num_cores, num_jobs)
    if memory is not None:
        most = min(most, memory // _WORKER_BYTES)
    return min(range(1, max(1, most) + 1), key=lambda workers: (rounds(workers), workers))


def split_cores(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """The cores of each worker, equally many; none, which means all, where workers are more than cores."""
    each = len(cores) // workers
    return [tuple(cores[number * each : (number + 1) * each]) for number in range(workers)]


class LocalLauncher:
    """See `Launcher`. A slot's worker starts with its first job and is kept; one that has ended is replaced."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}

    def start(self, slot: Slot, job: Job) -> None:
        with storage_errors(job.log):
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.touch()
        worker = self._workers.get(slot.number)
        if worker is not None and worker.process.poll() is not None:
            worker.close(0.0)
            worker = None
        self._workers[slot.number] = worker = worker or _Worker(slot, job)
        worker.begin(job)

    def poll(self, slot: Slot) -> str | None:
        return self._workers[slot.number].poll()

    def stop(self, slot: Slot) -> None:
        self._workers[slot.number].process.send_signal(signal.SIGTERM)

    def end(self, slot: Slot) -> None:
        self._workers.pop(slot.number).close(seconds=0.0)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.jobs.close()  # all at once, so that they end at the same time
        for worker in self._workers.values():
            worker.close(_SECONDS_TO_EXIT)
        self._workers.clear()


class _Worker:
    """A process that reads jobs, one per line, from its standard input, and prints a line when it is ready again.

    When this process ends, its input closes; then the worker saves and stops.
    """

    def __init__(self, slot: Slot, job: Job) -> None:
        with storage_errors(job.log), job.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cnnlab.launch.local_worker", job.options.engine, *map(str, slot.cores)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": str(slot.threads)},
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches only the study, which stops its workers one by one
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs, self._answers = self.process.stdin, self.process.stdout
        os.set_blocking(self._answers.fileno(), False)

    def begin(self, job: Job) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended: `poll` reports it
            self.jobs.write(job.to_line())

    def poll(self) -> str | None:
        if self._answers.read():  # None: no answer yet; empty: the worker has ended
            return ""
        code = self.process.poll()
        if code is None:
            return None
        self.close(0.0)
        return f"killed by {_signal_name(-code)}" if code < 0 else ""

    def close(self, seconds: float) -> None:
        """Wait that long for its exit, then kill it."""
        self.jobs.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._answers.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
