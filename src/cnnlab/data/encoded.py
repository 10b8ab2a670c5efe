"""Many encoded images (a Parquet column, a folder) to one array: headers first, then pixels in threads."""

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

BATCH = 256  # images a thread takes at a time: large enough that handing out work costs nothing


@dataclass(frozen=True)
class Item:
    """One encoded image: the name errors use, its bytes or its file, its label (None when unlabelled)."""

    name: str
    content: bytes | Path
    label: int | None


def read_headers(items: Sequence[Item]) -> tuple[list[Header | None], list[str]]:
    """The header of every item (None where unreadable), and one problem for every unreadable one."""
    headers: list[Header | None] = []
    problems = []
    for item in items:
        try:
            headers.append(read_header(item.content, item.name))
        except ImageError as error:
            headers.append(None)
            problems.append(str(error))
    return headers, problems


def common_form(
    items: Sequence[Item], headers: Sequence[Header | None], size: tuple[int, int] | None
) -> tuple[int, int, int]:
    """(height, width, channels) all images are decoded to. Channels are 1 when every image is gray, else 3.

    Raises DataError when the images differ in size and none was asked for.
    """
    known = [header for header in headers if header is not None]
    channels = max((header.channels for header in known), default=3)
    if size is not None:
        return (*size, channels)
    sizes = Counter((header.height, header.width) for header in known)
    if len(sizes) != 1:
        most = ", ".join(f"{width}x{height} ({n})" for (height, width), n in sizes.most_common(5))
        raise DataError(
            f"the {len(items)} images have {len(sizes)} different sizes: {most}; "
            "say which one to use: `--set data.size=[32,32]` to train, `--size 32x32` in `cnnlab data preview`"
        )
    return (*next(iter(sizes)), channels)


def decode_items(items: Sequence[Item], form: tuple[int, int, int]) -> tuple[Images, list[str]]:
    """Decode every item to one uint8 N H W C array; images that fail stay black and give one problem each.

    Pillow releases the interpreter lock while it decodes, so threads use every core without copies between
    them.
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
    """One line for every item whose label is outside 0..num_classes-1; all or none must have one.

    Found here, before any training: on a GPU such a label stops the process and leaves the device unusable.
    """
    unlabelled = sum(item.label is None for item in items)
    if unlabelled not in (0, len(items)):
        return [
            f"{unlabelled} of {len(items)} images have no label; expected a label for all of them or for none"
        ]
    return [
        f"{item.name}: label {item.label} is outside 0..{num_classes - 1}"
        for item in items
        if item.label is not None and not 0 <= item.label < num_classes
    ]


def item_labels(items: Sequence[Item], num_classes: int) -> Labels | None:
    """The items' labels as int64 N, None when they have none. Raises DataError naming every wrong one."""
    if problems := item_label_problems(items, num_classes):
        raise DataError(*listed(problems))
    labels = [item.label for item in items if item.label is not None]
    return np.array(labels, dtype=np.int64) if labels else None


def decode_splits(splits: Sequence[Sequence[Item]], size: tuple[int, int] | None) -> list[Images]:
    """Every split decoded to one common form. Raises DataError listing every image that cannot be read."""
    everything = [item for items in splits for item in items]
    headers, problems = read_headers(everything)
    if problems:
        raise DataError(*listed(problems))
    form = common_form(everything, headers, size)
    decoded = [decode_items(items, form) for items in splits]
    if problems := [problem for _, found in decoded for problem in found]:
        raise DataError(*listed(problems))
    return [images for images, _ in decoded]
