"""CIFAR-10 and CIFAR-100: the official binary and python editions, as archive or extracted.

https://www.cs.toronto.edu/~kriz/cifar.html. A binary record is the label byte(s) (CIFAR-100: coarse, then
fine) and 3072 pixel bytes, colour planes first; a python batch is a dict with `data` (N x 3072, the same
order) and labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cnnlab.core.errors import DataError
from cnnlab.data.archive import read_members
from cnnlab.data.dataset import Decoded, Images, Split, checked_labels
from cnnlab.data.sources.found import Found
from cnnlab.data.unpickle import read_batch

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Edition:
    """One published form: its archive, the folder inside, the member files, and the parser of a file."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    parse: Callable[[bytes, str, int], Split]

    @property
    def files(self) -> tuple[str, ...]:
        """All member files, train first."""
        return (*self.train, *self.test)


def _images(planes: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Images:
    """Rows of 3072 bytes, colour planes first, to N 32 32 3."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def parse_binary(content: bytes, name: str, num_classes: int, label_bytes: int = 1) -> Split:
    """One `.bin` file. The last label byte is the fine one. Raises DataError."""
    record = label_bytes + PIXELS
    if not content or len(content) % record:
        raise DataError(
            f"{name} has {len(content)} bytes, not a multiple of {record}: it is damaged or incomplete; get it again"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    labels = checked_labels(records[:, label_bytes - 1].astype(np.int64), num_classes, name)
    return Split(_images(records[:, label_bytes:]), labels)


def parse_python(content: bytes, name: str, num_classes: int, label_key: bytes = b"labels") -> Split:
    """One pickled batch, through the restricted unpickler. Raises DataError."""
    batch = read_batch(content, name)
    data, labels = batch.get(b"data"), batch.get(label_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
        raise DataError(f"{name}: expected an array `data` of N x {PIXELS} bytes; get the official file again")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != len(data):
        raise DataError(f"{name}: expected a list `{label_key.decode()}` of {len(data)} whole numbers")
    return Split(_images(data), checked_labels(np.array(labels, dtype=np.int64), num_classes, name))


_BATCHES = range(1, 6)
CIFAR10_EDITIONS = (
    Edition(
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        tuple(f"data_batch_{i}.bin" for i in _BATCHES),
        ("test_batch.bin",),
        parse_binary,
    ),
    Edition(
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in _BATCHES),
        ("test_batch",),
        parse_python,
    ),
)
CIFAR100_EDITIONS = (
    Edition(
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        ("train.bin",),
        ("test.bin",),
        partial(parse_binary, label_bytes=2),
    ),
    Edition(
        "cifar-100-python.tar.gz",
        "cifar-100-python",
        ("train",),
        ("test",),
        partial(parse_python, label_key=b"fine_labels"),
    ),
)


def _read(edition: Edition, classes: tuple[str, ...], place: Path) -> Decoded:
    """Decode an edition from its archive or folder."""
    if place.is_dir():
        contents = {name: (place / name).read_bytes() for name in edition.files}
    else:
        contents = read_members(place, edition.files)

    def split(names: tuple[str, ...]) -> Split:
        parts = [edition.parse(contents[name], f"{place}/{name}", len(classes)) for name in names]
        labels = [part.labels for part in parts if part.labels is not None]
        return Split(np.concatenate([part.images for part in parts]), np.concatenate(labels))

    return Decoded(split(edition.train), split(edition.test), classes)


def find_editions(folder: Path, editions: tuple[Edition, ...], classes: tuple[str, ...]) -> Found | None:
    """The first edition found in `folder`: its archive, its extracted folder, or its files."""
    for edition in editions:
        archive = folder / edition.archive
        if archive.is_file():
            read = partial(_read, edition, classes, archive)
            return Found(f"official archive {edition.archive}", archive, (archive,), read)
        for place in (folder / edition.folder, folder):
            files = tuple(place / name for name in edition.files)
            if all(file.is_file() for file in files):
                read = partial(_read, edition, classes, place)
                return Found(f"extracted {edition.folder}", place, files, read)
    return None
