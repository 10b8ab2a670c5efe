"""The data sets with names, from `named.toml`. A new one needs a table there and a line in `_FINDERS`."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.core.errors import DataError
from cnnlab.data.sources.cifar import CIFAR10_EDITIONS, CIFAR100_EDITIONS, Edition, find_editions
from cnnlab.data.sources.found import Found
from cnnlab.data.sources.mnist import find_idx, read_content
from cnnlab.data.sources.parquet import find_parquet
from cnnlab.data.sources.shapes import CLASSES as SHAPE_CLASSES
from cnnlab.data.sources.shapes import NUM_TEST, NUM_TRAIN, find_shapes


@dataclass(frozen=True)
class OfficialFile:
    """One published file. `content_md5` of the decompressed content also accepts a recompressed copy.

    `digest` is `algorithm:hex`, or its first digits and `...` if only these are published.
    """

    name: str
    digest: str
    content_md5: str | None = None


@dataclass(frozen=True)
class NamedSource:
    """A data set with a name. `fetch`: the official files that are downloaded."""

    name: str
    classes: tuple[str, ...]
    num_train: int
    num_test: int
    find: Callable[[Path], Found | None]
    official: tuple[OfficialFile, ...] = ()
    fetch: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    embedded: bool = False


def verify(path: Path, official: OfficialFile) -> None:
    """Raise DataError unless `path` is the official file or a recompressed copy of it."""
    algorithm = official.digest.split(":")[0]
    with path.open("rb") as file:
        received = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
    beginning = official.digest.removesuffix("...")
    if received == beginning or (beginning != official.digest and received.startswith(beginning)):
        return
    if official.content_md5 and hashlib.md5(read_content(path)).hexdigest() == official.content_md5:
        return
    raise DataError(
        f"{path} is not the official {official.name}: expected {official.digest}, received {received}; "
        "delete it and download it again"
    )


def _find_cifar(editions: tuple[Edition, ...], column: str, folder: Path, classes: tuple[str, ...]) -> Found | None:
    return find_editions(folder, editions, classes) or find_parquet(folder, classes, column)


def _find_digits(folder: Path, classes: tuple[str, ...]) -> Found | None:
    return find_idx(folder, classes) or find_parquet(folder, classes, "label")


_FINDERS: Mapping[str, Callable[[Path, tuple[str, ...]], Found | None]] = {
    "cifar10": partial(_find_cifar, CIFAR10_EDITIONS, "label"),
    "cifar100": partial(_find_cifar, CIFAR100_EDITIONS, "fine_label"),
    "mnist": _find_digits,
    "fashion-mnist": _find_digits,
}


def _named(name: str, values: Mapping[str, Any]) -> NamedSource:
    classes, contents = tuple(values["classes"]), values.get("content_md5", {})
    num_train, num_test = values["images"]
    official = tuple(OfficialFile(file, digest, contents.get(file)) for file, digest in values["digests"].items())
    find, served = _FINDERS[name], (tuple(values["fetch"]), tuple(values["mirrors"]))
    return NamedSource(name, classes, num_train, num_test, lambda folder: find(folder, classes), official, *served)


_TABLES = tomllib.loads(Path(__file__).with_name("named.toml").read_text(encoding="utf-8"))
_SHAPES = NamedSource("shapes", SHAPE_CLASSES, NUM_TRAIN, NUM_TEST, lambda _: find_shapes(), embedded=True)
NAMED_SOURCES = {name: _named(name, values) for name, values in _TABLES.items()} | {"shapes": _SHAPES}
CIFAR10_CLASSES, CIFAR100_CLASSES = NAMED_SOURCES["cifar10"].classes, NAMED_SOURCES["cifar100"].classes
