"""Cache of decoded data sets: memory-mapped arrays, keyed by the digest of their source.

    <cache>/decoded/<key>/   manifest.json and {train,test}_{images,labels}.npy
    <cache>/digests/*.json   SHA-256 of a source whose files have certain paths, sizes and times

Hashing 170 MB takes longer than loading them. So files with the same paths, sizes and modification times (in
nanoseconds) as when they were hashed keep their recorded digest; `cnnlab data check` reads the source itself. An
entry is written to a temporary folder and renamed: it is complete or absent, also if two processes decode at once.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.core.files import sha256_of, storage_errors, sync_folder, write_json
from cnnlab.data.dataset import Decoded, Split
from cnnlab.data.places import cache_folder, elsewhere
from cnnlab.data.sources.found import Found

REMEDY = "or set CNNLAB_CACHE to a folder for decoded data that has space and can be written"
FORMAT = 1  # increase it if decoding gives other pixels, so that old entries are not used


def _relative(path: Path, found: Found) -> str:
    """The file's path inside its source, so that a moved source keeps its digest."""
    if found.location is None or path == found.location:
        return path.name
    return os.fsencode(path.relative_to(found.location)).decode("utf-8", "surrogateescape")


def source_digest(found: Found) -> str:
    """Hex SHA-256 of names and contents of the source's files (of its parameters, if it is embedded)."""
    digest = hashlib.sha256(b"" if found.files else found.options.encode())
    for path in found.files:
        line = f"{_relative(path, found)}\0{sha256_of(path)}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def known_digest(found: Found) -> str | None:
    """The recorded digest for files with these paths, sizes and modification times, or None."""
    try:
        return str(json.loads(_digest_record(found).read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest_record(found: Found) -> Path:
    lines = [found.options]
    for path in found.files:
        status = path.stat()
        name = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
        lines.append(f"{name}\0{status.st_size}\0{status.st_mtime_ns}")
    key = hashlib.blake2b("\n".join(lines).encode(), digest_size=20).hexdigest()
    return cache_folder() / "digests" / f"{key}.json"


def _entry(found: Found, digest: str) -> Path:
    key = hashlib.sha256(f"{digest}/{found.options}/{FORMAT}".encode()).hexdigest()
    return cache_folder() / "decoded" / key[:32]


def _arrays(decoded: Decoded) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {"train_images": decoded.train.images, "train_labels": decoded.train.labels}
    if decoded.test is not None:
        arrays |= {"test_images": decoded.test.images, "test_labels": decoded.test.labels}
    return {name: array for name, array in arrays.items() if array is not None}


def _write(entry: Path, decoded: Decoded, found: Found, digest: str) -> None:
    """Write a temporary folder, then rename it to `entry`, unless another process has finished the entry."""
    with storage_errors(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}."))
    try:
        with storage_errors(entry):
            sizes = {}
            for name, array in _arrays(decoded).items():
                with (aside / f"{name}.npy").open("wb") as file:
                    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
                    sizes[name] = file.tell()
        manifest = {
            "format": FORMAT,
            "source": found.format,
            "digest": digest,
            "options": found.options,
            "classes": decoded.classes,
            "bytes": sizes,
        }
        write_json(aside / "manifest.json", manifest)
        with storage_errors(entry):
            if _open(entry) is None and entry.exists():  # damaged
                shutil.rmtree(entry, ignore_errors=True)
            try:
                os.rename(aside, entry)
            except OSError:
                if _open(entry) is None:
                    raise
            sync_folder(entry.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open(entry: Path) -> Decoded | None:
    """The entry's arrays, memory-mapped and read-only; None when it is absent or damaged."""
    try:
        manifest = json.loads((entry / "manifest.json").read_text())
        arrays = {}
        for name, size in manifest["bytes"].items():
            path = entry / f"{name}.npy"
            if path.stat().st_size != size:
                return None
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        train = Split(arrays["train_images"], arrays.get("train_labels"))
        test = Split(arrays["test_images"], arrays.get("test_labels")) if "test_images" in arrays else None
        return Decoded(train, test, tuple(manifest["classes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def cached(found: Found, verify: Callable[[Found], None], validate: Callable[[Decoded], None]) -> tuple[Decoded, str]:
    """The source's arrays from the cache, decoded first if necessary, and the source's digest.

    `verify` checks the files before they are opened, `validate` the arrays before they are stored; both raise.
    Raises StorageError if the cache cannot be written.
    """
    record = _digest_record(found)
    digest = known_digest(found)
    if digest is None:
        verify(found)
        digest = source_digest(found)
        with elsewhere(REMEDY):
            write_json(record, {"digest": digest})
    entry = _entry(found, digest)
    decoded = _open(entry)
    if decoded is None:
        fresh = found.read()
        validate(fresh)
        with elsewhere(REMEDY):
            _write(entry, fresh, found, digest)
        decoded = _open(entry) or fresh
    return decoded, digest
