"""MNIST and Fashion-MNIST: four idx files, gzipped or not (http://yann.lecun.com/exdb/mnist/).

An idx file is a big-endian header (two zero bytes, type 8 for bytes, number of dimensions, then every
dimension as 32 bits) and the bytes.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import Decoded, Split, checked_labels
from cnnlab.data.sources.found import Found

STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
MAX_CONTENT = 512 * 2**20  # limit against gzip bombs; MNIST's training images have 47 MB


def read_content(path: Path) -> bytes:
    """The file's content, decompressed if it is gzipped. Raises DataError."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content: bytes = file.read(MAX_CONTENT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or incomplete ({error}); delete it and get it again") from error
    if len(content) > MAX_CONTENT:
        raise DataError(f"{path} is refused: it holds more than {MAX_CONTENT >> 20} MiB")
    return content


def read_idx(path: Path, num_dimensions: int) -> npt.NDArray[np.uint8]:
    """The array in an idx file of bytes. Raises DataError if header and content disagree."""
    content = read_content(path)
    header = 4 + 4 * num_dimensions
    if len(content) < header or content[:4] != bytes([0, 0, 8, num_dimensions]):
        raise DataError(f"{path} is not an idx file of bytes with {num_dimensions} dimensions; get it again")
    shape = struct.unpack(f">{num_dimensions}I", content[4:header])
    expected = int(np.prod([int(length) for length in shape], dtype=object))
    if len(content) - header != expected:
        raise DataError(
            f"{path} holds {len(content) - header} bytes, its header promises {expected}; delete it and get it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _split(images_file: Path, labels_file: Path, num_classes: int) -> Split:
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    if len(images) != len(labels):
        raise DataError(f"{images_file} has {len(images)} images but {labels_file} has {len(labels)} labels")
    return Split(images[..., np.newaxis], checked_labels(labels, num_classes, labels_file))


def _file_of(folder: Path, stem: str) -> Path | None:
    kind = "idx3" if "images" in stem else "idx1"
    names = [f"{stem}{separator}{kind}-ubyte{end}" for separator in "-." for end in (".gz", "")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def find_idx(folder: Path, classes: tuple[str, ...] | None = None) -> Found | None:
    """The four idx files in `folder`, or None if one is missing. Without `classes`, the labels are the names."""
    files = tuple(path for stem in STEMS if (path := _file_of(folder, stem)) is not None)
    if len(files) != len(STEMS):
        return None

    def read() -> Decoded:
        train_images, train_labels, test_images, test_labels = files
        highest = int(read_idx(train_labels, 1).max(initial=0)) if classes is None else 0
        names = classes or tuple(map(str, range(highest + 1)))
        train = _split(train_images, train_labels, len(names))
        return Decoded(train, _split(test_images, test_labels, len(names)), names)

    return Found("idx files", folder, files, read)
