"""Threads of the from-scratch engine: it shares batches over them itself, so BLAS has one."""

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


def blas_core() -> str | None:
    """The kind of core that NumPy's OpenBLAS computes for, such as SkylakeX or Haswell; None if it is another BLAS."""
    for library in _controller().info():
        if library.get("internal_api") == "openblas" and library.get("architecture"):
            return str(library["architecture"])
    return None
