"""A source that was located but not read: which files it consists of, and how to decode them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.data.dataset import Decoded
from cnnlab.data.encoded import Item


@dataclass(frozen=True)
class Found:
    """`files` identify the content (they are what is hashed); `options` is what else the pixels depend on.

    `items` is given by sources of encoded images only: the items of train and test, for checks one by one.
    """

    format: str
    location: Path | None
    files: tuple[Path, ...]
    read: Callable[[], Decoded]
    options: str = ""
    items: Callable[[], tuple[list[Item], list[Item]]] | None = None
    skipped: tuple[str, ...] = ()
