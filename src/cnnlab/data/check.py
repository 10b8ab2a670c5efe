"""What is in a data set and what is wrong with it: every problem listed, images looked at one by one.

Unlike a load, which uses the decoded cache, a check reads the source itself.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import DataError, ImageError
from cnnlab.data.dataset import Images, Split
from cnnlab.data.decode import decode_image, read_header
from cnnlab.data.encoded import Item, item_label_problems
from cnnlab.data.load import find, verify_official
from cnnlab.data.named import NAMED_SOURCES
from cnnlab.data.sources.found import Found, Items


@dataclass(frozen=True)
class Looked:
    """One image looked at: size, mode and a digest of its pixels, or why it could not be read."""

    name: str
    label: int | None
    form: str = ""
    mode: str = ""
    digest: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class SplitSummary:
    """A split in numbers: images by size and by colour mode, and images of every class in class order."""

    name: str
    num_images: int
    sizes: dict[str, int]
    modes: dict[str, int]
    class_counts: tuple[int, ...]


@dataclass(frozen=True)
class CheckReport:
    """`problems` are what makes the data unfit or doubtful, `notes` what is worth knowing."""

    location: str
    format: str
    classes: tuple[str, ...]
    splits: tuple[SplitSummary, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def _digest(image: Images) -> bytes:
    # The shape belongs to it: a 2x8 and a 4x4 image can hold the same bytes.
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def _look_at_item(item: Item) -> Looked:
    try:
        header = read_header(item.content, item.name)
        digest = _digest(decode_image(item.content, name=item.name))
    except ImageError as error:
        return Looked(item.name, item.label, problem=str(error))
    return Looked(item.name, item.label, f"{header.width}x{header.height}", header.mode, digest)


def _look_at_items(items: Sequence[Item]) -> list[Looked]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_look_at_item, items))


def _look_at_split(split: Split, name: str) -> list[Looked]:
    """The same for images that are stored as an array."""
    height, width, channels = split.images.shape[1:]
    mode = "gray" if channels == 1 else "RGB"
    labels = [None] * len(split) if split.labels is None else split.labels.tolist()
    return [
        Looked(f"{name} image {index}", label, f"{width}x{height}", mode, _digest(image))
        for index, (image, label) in enumerate(zip(split.images, labels, strict=True))
    ]


def _summary(name: str, looked: Sequence[Looked], num_classes: int) -> SplitSummary:
    labels = Counter(one.label for one in looked)
    return SplitSummary(
        name,
        len(looked),
        dict(Counter(one.form for one in looked if one.form).most_common()),
        dict(Counter(one.mode for one in looked if one.mode).most_common()),
        tuple(labels[label] for label in range(num_classes)),
    )


def leaks(train: Sequence[Looked], test: Sequence[Looked]) -> list[str]:
    """One line for every test image whose pixels are also in train: its score would be memory."""
    known: dict[bytes, list[Looked]] = defaultdict(list)
    for one in train:
        if one.digest:
            known[one.digest].append(one)
    lines = []
    for one in test:
        if twins := known.get(one.digest):
            differs = "" if one.label in {twin.label for twin in twins} else ", under another label"
            lines.append(f"{one.name} is also in train: {twins[0].name}{differs}")
    return lines


def _repeats(looked: Sequence[Looked], split: str) -> list[str]:
    repeated = sum(count - 1 for count in Counter(one.digest for one in looked if one.digest).values())
    return [f"{repeated} images of {split} repeat another one of {split} exactly"] if repeated else []


def _report(
    found: Found, classes: tuple[str, ...], looked: dict[str, list[Looked]], problems: list[str]
) -> CheckReport:
    """Put together what looking at the images gave, and judge it."""
    summaries = tuple(_summary(name, images, len(classes)) for name, images in looked.items() if images)
    train, test = looked.get("train", []), looked.get("test", [])
    problems = [*problems, *(one.problem for one in (*train, *test) if one.problem), *leaks(train, test)]
    notes = [*found.skipped, *_repeats(train, "train"), *_repeats(test, "test")]
    for summary in summaries:
        empty = [name for name, n in zip(classes, summary.class_counts, strict=True) if n == 0]
        lines = [f"class {name!r} has no images in {summary.name}" for name in empty]
        if summary.name == "train":
            problems += lines
        elif len(empty) < len(classes):  # a test split without any labels is no news
            notes += lines
        if len(summary.sizes) > 1:
            notes.append(
                f"{summary.name} has images of {len(summary.sizes)} sizes: training needs one, "
                "for example `--set data.size=[32,32]`"
            )
    location = "embedded" if found.location is None else str(found.location)
    return CheckReport(location, found.format, classes, summaries, tuple(problems), tuple(notes))


def _check_items(found: Found, items: Items, problems: list[str]) -> CheckReport:
    parts = {"train": items.train, "test": items.test}
    for part in parts.values():
        problems = [*problems, *item_label_problems(part, len(items.classes))]
    return _report(found, items.classes, {n: _look_at_items(part) for n, part in parts.items()}, problems)


def check(source: str, data_dir: Path | None = None) -> CheckReport:
    """Read every image of a named data set or a path. Raises DataError when there is nothing to check."""
    found = find(source, data_dir)
    problems: list[str] = []
    try:
        verify_official(NAMED_SOURCES.get(source), found)
        if found.items is not None:
            return _check_items(found, found.items(), problems)
        decoded = found.read()
    except DataError as error:
        return _report(found, (), {}, list(error.problems))
    splits = {"train": decoded.train} | ({"test": decoded.test} if decoded.test else {})
    looked = {name: _look_at_split(split, name) for name, split in splits.items()}
    return _report(found, decoded.classes, looked, problems)
