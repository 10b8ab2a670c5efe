"""Check of a data set, image by image, with a list of all problems. It reads the source, not the decoded cache."""

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
class CheckedImage:
    """One image: size, mode and digest of its pixels, or why it could not be read."""

    name: str
    label: int | None
    size: str = ""
    mode: str = ""
    digest: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class SplitSummary:
    """Number of images of a split: in all, by size, by colour mode and by class."""

    name: str
    num_images: int
    sizes: dict[str, int]
    modes: dict[str, int]
    class_counts: tuple[int, ...]


@dataclass(frozen=True)
class CheckReport:
    """`problems` make the data unusable or doubtful, `notes` do not."""

    location: str
    format: str
    classes: tuple[str, ...]
    splits: tuple[SplitSummary, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def _digest(image: Images) -> bytes:
    # With the shape: a 2x8 and a 4x4 image can have the same bytes.
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def _checked_item(item: Item) -> CheckedImage:
    try:
        header = read_header(item.content, item.name)
        digest = _digest(decode_image(item.content, name=item.name))
    except ImageError as error:
        return CheckedImage(item.name, item.label, problem=str(error))
    return CheckedImage(item.name, item.label, f"{header.width}x{header.height}", header.mode, digest)


def _checked_split(split: Split, name: str) -> list[CheckedImage]:
    """The same for images that are stored as an array."""
    height, width, channels = split.images.shape[1:]
    mode = "gray" if channels == 1 else "RGB"
    labels = [None] * len(split) if split.labels is None else split.labels.tolist()
    return [
        CheckedImage(f"{name} image {index}", label, f"{width}x{height}", mode, _digest(image))
        for index, (image, label) in enumerate(zip(split.images, labels, strict=True))
    ]


def _summary(name: str, images: Sequence[CheckedImage], num_classes: int) -> SplitSummary:
    labels = Counter(one.label for one in images)
    return SplitSummary(
        name,
        len(images),
        dict(Counter(one.size for one in images if one.size).most_common()),
        dict(Counter(one.mode for one in images if one.mode).most_common()),
        tuple(labels[label] for label in range(num_classes)),
    )


def _leaks(train: Sequence[CheckedImage], test: Sequence[CheckedImage]) -> list[str]:
    """One line for every test image that is also in train, so that its score is not valid."""
    known: dict[bytes, list[CheckedImage]] = defaultdict(list)
    for one in train:
        if one.digest:
            known[one.digest].append(one)
    lines = []
    for one in test:
        if twins := known.get(one.digest):
            differs = "" if one.label in {twin.label for twin in twins} else ", under another label"
            lines.append(f"{one.name} is also in train: {twins[0].name}{differs}")
    return lines


def _repeats(images: Sequence[CheckedImage], split: str) -> list[str]:
    repeated = sum(count - 1 for count in Counter(one.digest for one in images if one.digest).values())
    return [f"{repeated} images of {split} repeat another one of {split} exactly"] if repeated else []


def _report(
    found: Found, classes: tuple[str, ...], splits: dict[str, list[CheckedImage]], problems: list[str]
) -> CheckReport:
    summaries = tuple(_summary(name, images, len(classes)) for name, images in splits.items() if images)
    train, test = splits.get("train", []), splits.get("test", [])
    problems = [*problems, *(one.problem for one in (*train, *test) if one.problem), *_leaks(train, test)]
    notes = [*found.skipped, *_repeats(train, "train"), *_repeats(test, "test")]
    for summary in summaries:
        empty = [name for name, n in zip(classes, summary.class_counts, strict=True) if n == 0]
        lines = [f"class {name!r} has no images in {summary.name}" for name in empty]
        if summary.name == "train":
            problems += lines
        elif len(empty) < len(classes):  # a test split without labels is normal
            notes += lines
        if len(summary.sizes) > 1:
            notes.append(
                f"{summary.name} has images of {len(summary.sizes)} sizes: training needs one, "
                "for example `--set data.size=[32,32]`"
            )
    location = "embedded" if found.location is None else str(found.location)
    return CheckReport(location, found.format, classes, summaries, tuple(problems), tuple(notes))


def _check_items(found: Found, items: Items) -> CheckReport:
    parts = {"train": items.train, "test": items.test}
    problems = [line for part in parts.values() for line in item_label_problems(part, len(items.classes))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = {name: list(pool.map(_checked_item, part)) for name, part in parts.items()}
    return _report(found, items.classes, images, problems)


def check(source: str, data_dir: Path | None = None) -> CheckReport:
    """Read every image of a named data set or a path. Raises DataError if there is nothing to check."""
    found = find(source, data_dir)
    try:
        verify_official(NAMED_SOURCES.get(source), found)
        if found.items is not None:
            return _check_items(found, found.items())
        decoded = found.read()
    except DataError as error:
        return _report(found, (), {}, list(error.problems))
    splits = {"train": decoded.train} | ({"test": decoded.test} if decoded.test else {})
    images = {name: _checked_split(split, name) for name, split in splits.items()}
    return _report(found, decoded.classes, images, [])
