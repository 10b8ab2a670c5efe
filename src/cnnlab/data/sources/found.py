"""A source that was found but not read: its files and how to decode them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.data.dataset import Decoded, Split
from cnnlab.data.encoded import Item, decode_splits, item_labels


@dataclass(frozen=True)
class Items:
    """The encoded images of a source; `test` is empty if the split does not exist."""

    train: tuple[Item, ...]
    test: tuple[Item, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """`files` are hashed to identify the content; `options` are other inputs of the pixels.

    `items`: encoded images, if any, for checks one by one; `skipped`: one line per file that is not used.
    """

    format: str
    location: Path | None
    files: tuple[Path, ...]
    read: Callable[[], Decoded]
    options: str = ""
    items: Callable[[], Items] | None = None
    skipped: tuple[str, ...] = ()


def size_option(size: tuple[int, int] | None) -> str:
    """`options` of a source that is decoded to `size` (height, width)."""
    return "" if size is None else f"size={size[0]}x{size[1]}"


def decode_found(items: Items, size: tuple[int, int] | None) -> Decoded:
    """Decode all items to one size and number of channels. Raises DataError with all bad labels or images."""
    parts = [items.train, items.test] if items.test else [items.train]
    labels = [item_labels(part, len(items.classes)) for part in parts]
    splits = [Split(*pair) for pair in zip(decode_splits(parts, size), labels, strict=True)]
    return Decoded(splits[0], splits[1] if items.test else None, items.classes)
