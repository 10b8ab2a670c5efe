"""A NumPy `.npz` file with uint8 images and whole-number labels, with common names.

`x_train, y_train[, x_test, y_test]` (Keras) or `train_images, train_labels[, test_images, test_labels]`
(MedMNIST), or `images, labels` without a test split; images N H W or N H W C. Pickles are never loaded.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import Decoded, Split, checked_labels
from cnnlab.data.sources.found import Found

TRAIN_NAMES = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"))
TEST_NAMES = (("x_test", "y_test"), ("test_images", "test_labels"))


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    wanted = {name for pair in (*TRAIN_NAMES, *TEST_NAMES) for name in pair}
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name in wanted}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a readable .npz file of plain arrays ({error})") from error


def _images(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise DataError(
            f"{name} is {array.dtype} of shape {array.shape}; expected uint8 N H W, or N H W C with 1 or 3 channels"
        )
    return array if array.ndim == 4 else array[..., np.newaxis]


def _split(arrays: dict[str, npt.NDArray[Any]], pair: tuple[str, str], path: Path, num_classes: int | None) -> Split:
    images = _images(arrays[pair[0]], f"{path} {pair[0]}")
    if pair[1] not in arrays:
        return Split(images, None)
    labels = arrays[pair[1]]
    if labels.ndim == 2 and labels.shape[1] == 1:  # Keras and MedMNIST keep labels as a column
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(images):
        raise DataError(
            f"{path} {pair[1]} is {labels.dtype} of shape {labels.shape}; expected {len(images)} whole numbers"
        )
    highest = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    return Split(images, checked_labels(labels, highest, f"{path} {pair[1]}"))


def read_npz(path: Path) -> Decoded:
    """Decode the file. Class names are the numbers of the training labels. Raises DataError."""
    arrays = _arrays(path)
    train_names = next((pair for pair in TRAIN_NAMES if pair[0] in arrays), None)
    if train_names is None:
        expected = " or ".join(", ".join(pair) for pair in TRAIN_NAMES)
        raise DataError(f"{path} holds no training images; expected arrays named {expected}")
    train = _split(arrays, train_names, path, None)
    num_classes = 0 if train.labels is None else int(train.labels.max(initial=-1)) + 1
    test_names = next((pair for pair in TEST_NAMES if pair[0] in arrays), None)
    test = _split(arrays, test_names, path, num_classes) if test_names else None
    return Decoded(train, test, tuple(str(label) for label in range(num_classes)))


def read_images(path: Path) -> npt.NDArray[np.uint8]:
    """Images without labels, uint8 N H W C: the test images of a `.npz`, else its only images; or a `.npy` file.

    Raises DataError.
    """
    if path.suffix.lower() == ".npy":
        try:
            return _images(np.load(path, allow_pickle=False), str(path))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} is not a readable .npy file of a plain array ({error})") from error
    arrays = _arrays(path)
    names = [pair[0] for pair in (*TEST_NAMES, *reversed(TRAIN_NAMES))]
    name = next((name for name in names if name in arrays), None)
    if name is None:
        raise DataError(f"{path} holds no images; expected an array named {', '.join(names)}")
    return _images(arrays[name], f"{path} {name}")


def find_npz(path: Path) -> Found:
    """The file as a source."""
    return Found(".npz", path, (path,), lambda: read_npz(path))
