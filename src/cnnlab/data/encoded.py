"""Decode many images (a Parquet column, a folder) to one array: first all headers, then pixels in threads."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.core.errors import DataError, ImageError
from cnnlab.data.dataset import Images, Labels, listed
from cnnlab.data.decode import Header, decode_image, read_header

BATCH = 256  # images per task of a thread


@dataclass(frozen=True)
class Item:
    """One encoded image: name for error messages, bytes or file, label if known."""

    name: str
    content: bytes | Path
    label: int | None


def _common_form(headers: Sequence[Header], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """(height, width, channels) for all images; 1 channel if all are gray, else 3.

    Raises DataError if the images differ in size and `size` is None.
    """
    channels = max((header.channels for header in headers), default=3)
    if size is not None:
        return (*size, channels)
    sizes = Counter((header.height, header.width) for header in headers)
    if len(sizes) != 1:
        most = ", ".join(f"{width}x{height} ({n})" for (height, width), n in sizes.most_common(5))
        raise DataError(
            f"the {len(headers)} images have {len(sizes)} different sizes: {most}; "
            "say which one to use: `--set data.size=[32,32]` to train, `--size 32x32` in `cnnlab data preview`"
        )
    return (*next(iter(sizes)), channels)


def decode_items(items: Sequence[Item], form: tuple[int, int, int]) -> tuple[Images, list[str]]:
    """Decode all items to one uint8 N H W C array; an image that fails stays black and adds a problem.

    Threads use all cores, because Pillow releases the interpreter lock during decoding.
    """
    height, width, channels = form
    images: Images = np.zeros((len(items), height, width, channels), dtype=np.uint8)

    def decode(start: int) -> list[str]:
        problems = []
        for index in range(start, min(start + BATCH, len(items))):
            item = items[index]
            try:
                images[index] = decode_image(item.content, (height, width), channels, item.name)
            except ImageError as error:
                problems.append(str(error))
        return problems

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(decode, range(0, len(items), BATCH)))
    return images, [problem for problems in found for problem in problems]


def item_label_problems(items: Sequence[Item], num_classes: int) -> list[str]:
    """One line for every item with a label outside 0..num_classes-1; all items or none must have a label."""
    unlabelled = sum(item.label is None for item in items)
    if unlabelled not in (0, len(items)):
        return [f"{unlabelled} of {len(items)} images have no label; expected a label for all of them or for none"]
    return [
        f"{item.name}: label {item.label} is outside 0..{num_classes - 1}"
        for item in items
        if item.label is not None and not 0 <= item.label < num_classes
    ]


def item_labels(items: Sequence[Item], num_classes: int) -> Labels | None:
    """The items' labels as int64 N, or None without labels. Raises DataError with all wrong ones."""
    if problems := item_label_problems(items, num_classes):
        raise DataError(*listed(problems))
    labels = [item.label for item in items if item.label is not None]
    return np.array(labels, dtype=np.int64) if labels else None


def decode_splits(splits: Sequence[Sequence[Item]], size: tuple[int, int] | None) -> list[Images]:
    """All splits decoded to one common form. Raises DataError with all images that cannot be read."""
    headers, problems = [], []
    for item in (item for items in splits for item in items):
        try:
            headers.append(read_header(item.content, item.name))
        except ImageError as error:
            problems.append(str(error))
    if problems:
        raise DataError(*listed(problems))
    form = _common_form(headers, size)
    decoded = [decode_items(items, form) for items in splits]
    if problems := [problem for _, found in decoded for problem in found]:
        raise DataError(*listed(problems))
    return [images for images, _ in decoded]
