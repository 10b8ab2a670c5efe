"""Trainings side by side on this machine: how it is divided into slots, and a launcher with a worker for each.

A worker is a process that imports torch once and then takes one job after the other (`local_worker`).
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

# t threads are taken to be t ** 0.7 times as fast as one. Small networks gain less (SimpleNN on two cores: a third),
# so with this power several workers are only chosen where they win anyway.
THREADS_POWER = 0.7
# What a worker takes of the memory of the device: weights and batches of small networks, the data set, the libraries.
_WORKER_BYTES = 3 * 2**29
_SECONDS_TO_EXIT = 5.0


def local_slots(
    wanted: int | Literal["auto"],
    num_jobs: int,
    threads: int | None = None,
    memory: int | None = None,
    device: str = "auto",
) -> tuple[Slot, ...]:
    """This machine divided among that many jobs. `threads` None: as many as a slot has cores.

    `memory` are the free bytes of the device.
    """
    cores, num_jobs = usable_cores(), max(1, num_jobs)
    if wanted == "auto":
        wanted = choose_workers(num_jobs, max(1, len(cores) // (threads or 1)), memory)
    parts = split_cores(cores, min(wanted, num_jobs))
    threads, each = threads or max(1, len(parts[0])), None if memory is None else memory // len(parts)
    return tuple(Slot(number, part, threads, device, each) for number, part in enumerate(parts))


def choose_workers(num_jobs: int, num_cores: int, memory: int | None = None) -> int:
    """How many workers finish that many equal trainings first; one at least. `memory`: free bytes of the device.

    Each gets `num_cores // workers` threads. Several trainings beside one another use cores better than one on all of
    them, but where fewer trainings than cores are left, some would idle.
    """

    def rounds(workers: int) -> float:
        return math.ceil(num_jobs / workers) / math.pow(num_cores // workers, THREADS_POWER)

    most = min(num_cores, num_jobs)
    if memory is not None:
        most = min(most, memory // _WORKER_BYTES)
    return min(range(1, max(1, most) + 1), key=lambda workers: (rounds(workers), workers))


def split_cores(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Each worker's own cores, equally many; no cores, that is to say all, where there are more workers than cores."""
    each = len(cores) // workers
    return [tuple(cores[number * each : (number + 1) * each]) for number in range(workers)]


class LocalLauncher:
    """See `Launcher`. A slot's worker starts with its first job and is kept; one that is gone is replaced."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}

    def start(self, slot: Slot, job: Job) -> None:
        """See `Launcher`."""
        with storage_errors(job.log):
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.touch()
        worker = self._workers.get(slot.number)
        if worker is not None and not worker.is_alive:
            worker.close(0.0)
            worker = None
        self._workers[slot.number] = worker = worker or _Worker(slot, job)
        worker.begin(job)

    def poll(self, slot: Slot) -> str | None:
        """See `Launcher`."""
        return self._workers[slot.number].poll()

    def stop(self, slot: Slot) -> None:
        """See `Launcher`."""
        self._workers[slot.number].process.send_signal(signal.SIGTERM)

    def end(self, slot: Slot) -> None:
        """See `Launcher`."""
        self._workers.pop(slot.number).close(seconds=0.0)

    def close(self) -> None:
        """See `Launcher`."""
        for worker in self._workers.values():
            worker.jobs.close()  # all of them at once: each takes a moment
        for worker in self._workers.values():
            worker.close(_SECONDS_TO_EXIT)
        self._workers.clear()


class _Worker:
    """A process that takes jobs, a line each on its standard input, and answers with a line when it is ready again.

    Its input stays open as long as this process lives: when it closes, the worker saves and stops.
    """

    def __init__(self, slot: Slot, job: Job) -> None:
        with storage_errors(job.log), job.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cnnlab.launch.local_worker", *map(str, slot.cores)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": str(slot.threads)},
                bufsize=0,
                start_new_session=True,  # Ctrl-C goes to the study alone, which stops its workers one by one
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs, self._answers = self.process.stdin, self.process.stdout
        os.set_blocking(self._answers.fileno(), False)

    @property
    def is_alive(self) -> bool:
        """Whether it can take a job, once it has answered to the one before."""
        return self.process.poll() is None

    def begin(self, job: Job) -> None:
        """Give it a job."""
        with contextlib.suppress(BrokenPipeError):  # it has died already: `poll` will tell
            self.jobs.write(job.to_line())

    def poll(self) -> str | None:
        """See `Launcher.poll`."""
        if self._answers.read():  # None: nothing yet; empty: it has closed
            return ""
        code = self.process.poll()
        if code is None:
            return None
        self.close(0.0)
        return f"killed by {_signal_name(-code)}" if code < 0 else ""

    def close(self, seconds: float) -> None:
        """Let it exit within that time, else kill it; it is gone afterwards."""
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
