"""Memory-mapped arrays sent to other processes by the name of their file.

NumPy pickles a memory map with its whole content: each worker process of a `DataLoader` would get a copy of the data
set of its own. Sent by name, all processes share the pages that the operating system already holds.
"""

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MappedFile:
    """Where the array lies: file, first byte, shape and type of its elements."""

    filename: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def open(self) -> Array:
        """The array, read-only. Raises FileNotFoundError where the file has gone."""
        return np.memmap(self.filename, self.dtype, "r", self.offset, self.shape)


def by_name(array: Array | None) -> Array | MappedFile | None:
    """The place of an array that is a whole, unchangeable memory map; any other value as it is."""
    if not isinstance(array, np.memmap):
        return array
    base: object = array.base  # the file's map itself, where the array is no view of another one
    if not isinstance(base, mmap.mmap) or array.mode != "r" or not array.flags.c_contiguous:
        return array
    return MappedFile(str(array.filename), array.offset, array.shape, array.dtype.str)


def opened(value: Array | MappedFile | None) -> Array | None:
    """What `by_name` was given."""
    return value.open() if isinstance(value, MappedFile) else value
