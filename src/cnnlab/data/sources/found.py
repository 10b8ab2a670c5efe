"""A source that was located but not read: which files it consists of, and how to decode them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.data.dataset import Decoded, Split
from cnnlab.data.encoded import Item, decode_splits, item_labels


@dataclass(frozen=True)
class Items:
    """The encoded images of a source, not yet decoded; `test` is empty when there is no such split."""

    train: tuple[Item, ...]
    test: tuple[Item, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """`files` identify the content (they are what is hashed); `options` is what else the pixels depend on.

    Sources of encoded images also give their `items`, for checks one by one; `skipped` are files that are
    no part of the data set, one line each.
    """

    format: str
    location: Path | None
    files: tuple[Path, ...]
    read: Callable[[], Decoded]
    options: str = ""
    items: Callable[[], Items] | None = None
    skipped: tuple[str, ...] = ()


def decode_found(items: Items, size: tuple[int, int] | None) -> Decoded:
    """Decode all items to one size and number of channels. Raises DataError with every bad label or image."""
    parts = [items.train, items.test] if items.test else [items.train]
    labels = [item_labels(part, len(items.classes)) for part in parts]
    splits = [Split(*pair) for pair in zip(decode_splits(parts, size), labels, strict=True)]
    return Decoded(splits[0], splits[1] if items.test else None, items.classes)
