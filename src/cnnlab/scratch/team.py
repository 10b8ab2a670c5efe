"""Threads that each hold a part of the batch, and sums over all of them.

NumPy's elementwise work uses one core, so the batch is shared: every thread has a replica of the network with its own
memory, and the replicas meet only where batch normalisation needs the whole batch.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")


class Team:
    """`size` threads, the calling one among them. With one thread nothing is started."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size - 1, "cnnlab-scratch") if size > 1 else None
        self._meeting = threading.Barrier(size)
        self._given: list[NDArray[Any] | None] = [None] * size

    def run(self, task: Callable[[int], T]) -> list[T]:
        """`task(rank)` on every thread, the results by rank. Raises what the first failing task raised."""
        if self._pool is None:
            return [task(0)]
        futures = [self._pool.submit(self._guarded, task, rank) for rank in range(1, self.size)]
        outcomes: list[T | BaseException] = [self._guarded(task, 0), *(future.result() for future in futures)]
        failures = [one for one in outcomes if isinstance(one, BaseException)]
        if failures:
            self._meeting.reset()
            # Threads that waited for a failed one have a BrokenBarrierError, which says nothing.
            raise next((one for one in failures if not isinstance(one, threading.BrokenBarrierError)), failures[0])
        return [one for one in outcomes if not isinstance(one, BaseException)]

    def _guarded(self, task: Callable[[int], T], rank: int) -> T | BaseException:
        try:
            return task(rank)
        except BaseException as error:
            self._meeting.abort()
            return error

    def total(self, rank: int, array: NDArray[Any]) -> NDArray[Any]:
        """The sum of the arrays that all threads give at this meeting, added in the order of ranks."""
        if self.size == 1:
            return array
        self._given[rank] = array
        self._meeting.wait()
        first, *others = [one for one in self._given if one is not None]
        total = first.copy()
        for other in others:
            total += other
        self._meeting.wait()  # else a fast thread gives its next array before a slow one has read this
        return total

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
