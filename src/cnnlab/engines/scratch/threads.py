"""Threads of the from-scratch engine: it shares batches over them itself, so BLAS has one."""

import os
from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

from cnnlab.core.cores import usable_cores


def choose_threads(requested: int | None) -> int:
    """The requested number, else every core that this process may use."""
    return requested or len(usable_cores())


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """Inside, matrix products use one thread; with more, the threads of BLAS and of the engine would share cores."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


def slow_blas_notes() -> tuple[str, ...]:
    """A warning where OpenBLAS was told to compute for another kind of core: that can halve its speed."""
    told = os.environ.get("OPENBLAS_CORETYPE")
    if not told:
        return ()
    return (f"OPENBLAS_CORETYPE={told} is set: matrix products may be slower than this processor allows; unset it",)
