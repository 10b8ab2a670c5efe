"""Images without labels, for predictions: files, folders, archives of files, NumPy arrays.

The decoder scales and crops them to the network's input size. Arrays must already have this size.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.core.errors import DataError, ImageError
from cnnlab.data.archive import ARCHIVES, read_files
from cnnlab.data.dataset import Images
from cnnlab.data.encoded import Item, decode_items
from cnnlab.data.sources.folder import ENDINGS, list_folder, printable
from cnnlab.data.sources.npz import read_images


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Images uint8 N H W C and their names; `named`: these are file names."""

    images: Images
    names: tuple[str, ...]
    named: bool


def read_unlabelled(places: Sequence[Path], form: tuple[int, int, int]) -> Unlabelled:
    """All images at `places` in the `form` (height, width, channels), folders and archives sorted by name.

    `.npz` and `.npy` must be the only place. Raises DataError, or ImageError with all undecodable images.
    """
    arrays = [place for place in places if place.suffix.lower() in (".npz", ".npy")]
    if arrays:
        if len(places) > 1:
            raise DataError(f"{arrays[0]} is an array of images; give it alone, not with {len(places) - 1} more")
        return _of_array(arrays[0], form)
    items = [item for place in places for item in _items(place)]
    if not items:
        named = ", ".join(map(str, places)) or "nothing"
        raise DataError(
            f"no images to predict: received {named}, expected image files, a folder or archive of them, or .npz"
        )
    images, problems = decode_items(items, form)
    if problems:
        raise ImageError(*problems)
    return Unlabelled(images, tuple(item.name for item in items), named=True)


def _items(place: Path) -> list[Item]:
    if place.is_dir():
        below = sorted(_images_below(place), key=os.fsencode)
        return [Item(printable(path), path, None) for path in below]
    if place.name.lower().endswith(ARCHIVES):
        files = read_files(place, ENDINGS)
        return [Item(name, content, None) for name, content in sorted(files.items())]
    return [Item(printable(place), place, None)]


def _images_below(folder: Path) -> Iterator[Path]:
    """At all depths, without hidden files and links to folders."""
    inside = list_folder(folder)
    yield from inside.images
    for deeper in inside.folders:
        yield from _images_below(deeper)


def _of_array(place: Path, form: tuple[int, int, int]) -> Unlabelled:
    images = read_images(place)
    if not len(images):
        raise DataError(f"no images to predict: {place} is an array of none")
    if images.shape[1:] != form:
        height, width, channels = form
        raise DataError(
            f"{place}: images are {images.shape[1:]}, the network takes {height} x {width} x {channels}; arrays are "
            "not resized, give image files for that"
        )
    return Unlabelled(np.ascontiguousarray(images), tuple(map(str, range(len(images)))), named=False)
