"""Folders for data, downloads and decoded arrays."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab.core.errors import StorageError


def cache_folder() -> Path:
    """`$CNNLAB_CACHE`, else `$XDG_CACHE_HOME/cnnlab`, else `~/.cache/cnnlab`."""
    if chosen := os.environ.get("CNNLAB_CACHE"):
        return Path(chosen).expanduser()
    if standard := os.environ.get("XDG_CACHE_HOME"):
        return Path(standard).expanduser() / "cnnlab"
    return Path.home() / ".cache" / "cnnlab"


def data_folders(data_dir: Path | None = None) -> tuple[Path, ...]:
    """Data folders in search order: `data_dir`, `$CNNLAB_DATA`, the user's cache."""
    places = [data_dir] if data_dir is not None else []
    if chosen := os.environ.get("CNNLAB_DATA"):
        places.append(Path(chosen))
    places.append(cache_folder() / "data")
    return tuple(dict.fromkeys(place.expanduser().absolute() for place in places))


@contextmanager
def elsewhere(remedy: str) -> Iterator[None]:
    """Add to a StorageError how to choose another folder."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error}; {remedy}", no_space=error.no_space) from error
