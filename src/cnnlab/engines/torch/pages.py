"""Faster memory: freed blocks stay in the process for the next step, and large blocks are in huge pages.

Each training step frees and allocates the same few megabytes; blocks that return to the system cost page faults. With
pages of 4 KiB, activations and data sets need more addresses than the processor caches. Only Linux with glibc has these
settings (mallopt(3), madvise(2)); elsewhere nothing changes. CNNLAB_HUGE_PAGES=0 turns both off; docs/benchmarks.md
reports the gain and how it is measured.
"""

import ctypes
import os
import platform
from pathlib import Path

import torch

# Constants of glibc's malloc.h and Linux' mman.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _MADV_HUGEPAGE = -1, -2, -3, 14
_HUGE_PAGE = 2 * 2**20
_HEAP_STEP = 512 * 2**20  # address space; it becomes memory where it is written
_MAPS = Path("/proc/self/maps")


def prepare_heap() -> None:
    """Set up the heap of this process, before the tensors of a training are made. May be repeated."""
    libc = _libc()
    if libc is None:
        return
    libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, _HEAP_STEP)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free(libc.malloc(16 * 2**20))  # now the heap grows by the step set above
    for line in _MAPS.read_text().splitlines():
        if line.endswith("[heap]"):
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            _advise(libc, start, end)


def hold_in_huge_pages(tensor: torch.Tensor) -> None:
    """Request huge pages for a large CPU tensor that has not been written yet."""
    libc = _libc()
    if libc is not None:
        _advise(libc, tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes)


def _libc() -> ctypes.CDLL | None:
    if os.environ.get("CNNLAB_HUGE_PAGES") == "0" or platform.libc_ver()[0] != "glibc" or not _MAPS.exists():
        return None
    return ctypes.CDLL("libc.so.6")


def _advise(libc: ctypes.CDLL, start: int, end: int) -> None:
    """Request the huge pages that fit between two addresses. The kernel may ignore it, which does no harm."""
    first = -(-start // _HUGE_PAGE) * _HUGE_PAGE
    if end - first >= _HUGE_PAGE:
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_HUGEPAGE)
