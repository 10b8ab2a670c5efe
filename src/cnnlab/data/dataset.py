"""Values of all sources: a split is an array of images with labels, a data set consists of splits.

Shapes: images are uint8 N H W C (C is 1 or 3), labels are int64 N.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import DataError

Array = np.ndarray[Any, Any]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

MAX_LISTED = 20  # lines in one message


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 N H W C (read-only if from the cache) and labels int64 N, or None."""

    images: Images
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.images)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle memory-mapped arrays by file name: all processes share the pages in memory.

        NumPy pickles a memory map with its content: each worker of a `DataLoader` would get a copy of the data set.
        """
        return _split_from, (by_name(self.images), by_name(self.labels))


@dataclass(frozen=True)
class MappedFile:
    """Position of an array: file, first byte, shape and element type."""

    filename: str
    offset: int
    shape: tuple[int, ...]
    dtype: str


def by_name(array: Array | None) -> Array | MappedFile | None:
    """The position of an array that is a whole, read-only memory map; other values unchanged."""
    if not isinstance(array, np.memmap):
        return array
    base: object = array.base  # the file's map, unless the array is a view of another array
    if not isinstance(base, mmap.mmap) or array.mode != "r" or not array.flags.c_contiguous:
        return array
    return MappedFile(str(array.filename), array.offset, array.shape, array.dtype.str)


def _split_from(*parts: Any) -> Split:
    """The inverse of `Split.__reduce__`. Raises FileNotFoundError."""
    mapped = (np.memmap(p.filename, p.dtype, "r", p.offset, p.shape) if isinstance(p, MappedFile) else p for p in parts)
    return Split(*mapped)


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded source: its published splits and class names."""

    train: Split
    test: Split | None
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready for training.

    `digest`: SHA-256 of the source files' content; `location`: where they are; `seconds_to_load`: wall-clock time.
    """

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    digest: str
    location: str
    seconds_to_load: float

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width), as architectures need it."""
        height, width, channels = self.train.images.shape[1:]
        return channels, height, width


def listed(problems: list[str]) -> list[str]:
    """The first `MAX_LISTED` problems, and the number of the others."""
    hidden = len(problems) - MAX_LISTED
    return problems if hidden <= 0 else [*problems[:MAX_LISTED], f"... and {hidden} more"]


def checked_labels(labels: npt.NDArray[np.integer], num_classes: int, file: Path | str) -> Labels:
    """The labels as int64. Raises DataError with all outside 0..num_classes-1, which would crash a GPU."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    expected = f"0..{num_classes - 1}"
    problems = [f"{file}: label {labels[index]} at index {index} is outside {expected}" for index in wrong]
    if problems:
        raise DataError(*listed(problems))
    return labels.astype(np.int64)
