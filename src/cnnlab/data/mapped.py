"""Memory-mapped arrays sent to other processes by file name.

NumPy pickles a memory map with its content: each worker process of a `DataLoader` would get its own copy of the
data set. Sent by name, all processes share the pages in memory.
"""

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MappedFile:
    """Position of an array: file, first byte, shape and element type."""

    filename: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def open(self) -> Array:
        """The array, read-only. Raises FileNotFoundError."""
        return np.memmap(self.filename, self.dtype, "r", self.offset, self.shape)


def by_name(array: Array | None) -> Array | MappedFile | None:
    """The position of an array that is a whole, read-only memory map; other values unchanged."""
    if not isinstance(array, np.memmap):
        return array
    base: object = array.base  # the file's map, unless the array is a view of another array
    if not isinstance(base, mmap.mmap) or array.mode != "r" or not array.flags.c_contiguous:
        return array
    return MappedFile(str(array.filename), array.offset, array.shape, array.dtype.str)


def opened(value: Array | MappedFile | None) -> Array | None:
    """The inverse of `by_name`."""
    return value.open() if isinstance(value, MappedFile) else value
