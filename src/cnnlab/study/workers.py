"""Local workers: how many there are, which cores each has, and how one is started."""

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cnnlab.core.cores import usable_cores
from cnnlab.core.files import storage_errors
from cnnlab.study.worker import Job

# t threads are taken to be t ** 0.7 times as fast as one. Small networks gain less (SimpleNN on two cores: a third),
# so with this power several workers are only chosen where they win anyway.
THREADS_POWER = 0.7
# What a worker takes of the memory of the device: weights and batches of small networks, the data set, the libraries.
_WORKER_BYTES = 3 * 2**29


class Process(Protocol):
    """A worker as the runner sees it."""

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that killed it; None while it runs."""

    def ask(self, number: signal.Signals) -> None:
        """Send a signal."""

    def end(self) -> None:
        """Kill it, and wait until it is gone."""


class LocalWorker:
    """A process on this machine. Its standard input stays open as long as it runs: see `worker`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def poll(self) -> int | None:
        """See `Process`."""
        code = self._process.poll()
        if code is not None and self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def ask(self, number: signal.Signals) -> None:
        """See `Process`."""
        self._process.send_signal(number)

    def end(self) -> None:
        """See `Process`."""
        self._process.kill()
        self._process.wait()
        self.poll()


@dataclass(frozen=True)
class Crew:
    """How the cores are divided: a share for each worker (empty: all cores), and the threads of each."""

    shares: tuple[tuple[int, ...], ...]
    threads: int

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self.shares)


def divide(
    wanted: int | Literal["auto"], num_cells: int, threads: int | None = None, memory: int | None = None
) -> Crew:
    """The crew for that many trainings on this machine; `threads` None: as many as a worker has cores."""
    cores, num_cells = usable_cores(), max(1, num_cells)
    if wanted == "auto":
        wanted = choose_workers(num_cells, max(1, len(cores) // (threads or 1)), memory)
    shares = share_cores(cores, min(wanted, num_cells))
    return Crew(tuple(shares), threads or max(1, len(shares[0])))


def choose_workers(num_cells: int, num_cores: int, memory: int | None = None) -> int:
    """How many workers finish that many equal trainings first; one at least. `memory`: free bytes of the device.

    Each gets `num_cores // workers` threads. Several trainings beside one another use cores better than one on all of
    them, but where fewer trainings than cores are left, some would idle.
    """

    def rounds(workers: int) -> float:
        return math.ceil(num_cells / workers) / math.pow(num_cores // workers, THREADS_POWER)

    most = min(num_cores, num_cells)
    if memory is not None:
        most = min(most, memory // _WORKER_BYTES)
    return min(range(1, max(1, most) + 1), key=lambda workers: (rounds(workers), workers))


def share_cores(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Each worker's own cores, equally many; no cores, that is to say all, where there are more workers than cores."""
    each = len(cores) // workers
    return [tuple(cores[number * each : (number + 1) * each]) for number in range(workers)]


def start_worker(job: Job, log: Path) -> LocalWorker:
    """A worker that has been given its job; it prints into `log`. Raises StorageError."""
    with storage_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    with output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cnnlab.study.worker"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(job.threads or len(job.cores) or 1)},
            bufsize=0,
            start_new_session=True,  # Ctrl-C goes to the study alone, which stops its workers one by one
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has died already: its exit code will tell
        process.stdin.write(job.to_line())
    return LocalWorker(process)
