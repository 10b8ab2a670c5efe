"""Checkpoints: safetensors and JSON, never pickle. A checkpoint exists when its manifest exists.

    checkpoints/
        step-00000352/state.safetensors     the arrays
        step-00000352/manifest.json         format, size and SHA-256 of the state, meta, own digest
        last.json, best.json                pointers: a checkpoint's name and the SHA-256 of its manifest

Order of a save: state, manifest, folder entry, `best`, `last`; then older checkpoints are removed. Each file is written
under a temporary name, synced and renamed: after a crash at any moment the previous checkpoint or the new one is valid.
After a crash between the pointers `best` is newer than `last`, never older: training continues from `last` and reaches
that best again.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from cnnlab.core.errors import RunError
from cnnlab.core.files import sha256_of, storage_errors, sync_folder, write_atomic, write_json
from cnnlab.runs.tensors import Arrays, from_file, pieces

if TYPE_CHECKING:
    import numpy as np

Which = Literal["last", "best"]
WHICH: tuple[Which, ...] = get_args(Which)

FORMAT = 1
STATE = "state.safetensors"
MANIFEST = "manifest.json"
_NAME = re.compile(r"step-(\d{8,})(?:-(\d+))?")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The arrays and JSON meta of one saved step. `name` is its folder."""

    name: str
    arrays: "dict[str, np.ndarray[Any, Any]]"
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps done when it was saved."""
        return int(self.meta["step"])


class _DamagedError(Exception):
    """The content of a checkpoint differs from its manifest; the text explains how."""


def save(
    folder: Path,
    arrays: Arrays,
    meta: Mapping[str, Any],
    *,
    best: bool,
    before_pointing: Callable[[], None] = lambda: None,
) -> str:
    """Save a checkpoint in the `checkpoints` folder, make it `last` (and `best`); returns its name.

    `meta` is JSON with an integer `step`. Raises StorageError, and the errors of `before_pointing`; then nothing of
    the new checkpoint stays, unless a pointer already names it.
    """
    known_meta = json.loads(json.dumps(dict(meta), allow_nan=False))  # as it is read: text keys, lists
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
        previous = next(iter(_candidates(folder, "last")), None)
        name = _free_name(folder, meta["step"])
        try:
            (folder / name).mkdir()
            state = folder / name / STATE
            write_atomic(state, pieces(arrays))
            files = {STATE: {"size": state.stat().st_size, "sha256": sha256_of(state)}}
            write_atomic(folder / name / MANIFEST, _sealed({"format": FORMAT, "files": files, "meta": known_meta}))
            sync_folder(folder)
            before_pointing()
            if best:
                point(folder, "best", name)
            point(folder, "last", name)
        except BaseException:
            if name not in _pointed(folder, "best", "last"):
                _remove(folder / name)
            raise
        _remove_older(folder, keep={name, previous})
    return name


def any_saved(folder: Path) -> bool:
    """Whether a checkpoint was saved, intact or not. Call `sweep` first, which removes unfinished ones."""
    return any(_pointer(folder, which).exists() for which in WHICH) or bool(_saved(folder))


def load(folder: Path, which: Which, prefixes: Sequence[str] = ("",)) -> Checkpoint:
    """The checkpoint `which`, or with a warning the newest intact one where that is damaged. Raises RunError.

    Only with the arrays whose names have the first of the `prefixes` that any name has.
    """
    candidates = _candidates(folder, which)
    if not candidates:
        raise RunError(f"no checkpoint in {folder}; the run stopped before its first one, train it again")
    pointed = _read_pointer(folder, which)
    problems = [] if pointed else [f"the pointer {which}.json is missing or damaged"]
    for name in candidates:
        digest = pointed["manifest"] if pointed and pointed["name"] == name else None
        try:
            checkpoint = _read(folder / name, digest, prefixes)
        except _DamagedError as error:
            problems.append(f"{name}: {error}")
            continue
        if problems:
            _log.warning("warning: %s; using checkpoint %s of %s instead", "; ".join(problems), name, folder.parent)
        return checkpoint
    raise RunError(
        f"no intact checkpoint in {folder}; train the run again, or restore the folder from a copy", *problems
    )


def point(folder: Path, which: Which, name: str) -> None:
    """Make the checkpoint `name` the `which`. Raises StorageError."""
    digest = hashlib.sha256((folder / name / MANIFEST).read_bytes()).hexdigest()
    write_json(_pointer(folder, which), {"name": name, "manifest": digest})


def sweep(folder: Path) -> None:
    """Remove the remains of an interrupted save: temporary files and checkpoints without a manifest.

    A first checkpoint without a pointer is removed too: it is unknown whether it was the best.
    """
    with storage_errors(folder):
        for path in folder.iterdir() if folder.exists() else ():
            if path.is_dir() and not (path / MANIFEST).exists():
                _remove(path)
            elif path.name.endswith(".tmp"):
                path.unlink()
        saved = _saved(folder)
        if len(saved) == 1 and not any(_pointer(folder, which).exists() for which in WHICH):
            _remove(folder / saved[0])


def _sealed(body: dict[str, Any]) -> str:
    """The only valid text of a manifest: its values and their digest, so that every changed byte is detected."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()
    return json.dumps({**body, "sha256": digest}, indent=2, allow_nan=False) + "\n"


def _read(checkpoint: Path, manifest_digest: str | None, prefixes: Sequence[str]) -> Checkpoint:
    """Read and verify one checkpoint; `manifest_digest` is the one in the pointer, if any. Raises _DamagedError."""
    try:
        text = (checkpoint / MANIFEST).read_bytes()
        state = checkpoint / STATE
        size, digest = state.stat().st_size, sha256_of(state)
    except OSError as error:
        raise _DamagedError(f"{error.strerror}: {error.filename}") from error
    body = _read_manifest(text)
    if manifest_digest not in (None, hashlib.sha256(text).hexdigest()):
        raise _DamagedError("its manifest is not the one pointed at")
    expected = body["files"][STATE]
    if size != expected["size"]:
        raise _DamagedError(f"{STATE} has {size} bytes, expected {expected['size']}")
    if digest != expected["sha256"]:
        raise _DamagedError(f"{STATE} does not have its SHA-256")
    try:
        return Checkpoint(checkpoint.name, from_file(state, prefixes), body["meta"])
    except OSError as error:  # removed in the meantime by the training
        raise _DamagedError(f"{error.strerror}: {error.filename}") from error


def _read_manifest(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
        body.pop("sha256")
        intact = _sealed(body).encode() == text
    except (ValueError, TypeError, AttributeError, KeyError):
        intact = False
    if not intact:
        raise _DamagedError(f"{MANIFEST} is damaged")
    if body["format"] != FORMAT:
        raise RunError(
            f"received checkpoint format {body['format']}, this cnnlab reads format {FORMAT}; "
            "use the version that wrote it"
        )
    return dict(body)


def _pointer(folder: Path, which: Which) -> Path:
    return folder / f"{which}.json"


def _read_pointer(folder: Path, which: Which) -> dict[str, str] | None:
    """`{"name": ..., "manifest": ...}`, or None when missing or damaged."""
    try:
        pointer = json.loads(_pointer(folder, which).read_bytes())
        valid = _NAME.fullmatch(pointer["name"]) and isinstance(pointer["manifest"], str)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return pointer if valid else None


def _candidates(folder: Path, which: Which) -> list[str]:
    """Names in the order of trial: `which`, `last`, then all others, newest first."""
    return list(dict.fromkeys([*_pointed(folder, which, "last"), *_saved(folder)]))


def _pointed(folder: Path, *which: Which) -> list[str]:
    return [pointer["name"] for each in which if (pointer := _read_pointer(folder, each))]


def _saved(folder: Path) -> list[str]:
    """Names of all checkpoints with a manifest, newest first."""
    return sorted((path.parent.name for path in folder.glob(f"step-*/{MANIFEST}")), key=_age, reverse=True)


def _age(name: str) -> tuple[int, int]:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2] or 1)) if match else (-1, 0)


def _free_name(folder: Path, step: int) -> str:
    """A step can be saved twice, for instance after a resume from an earlier checkpoint."""
    name, attempt = f"step-{step:08}", 1
    while (folder / name).exists():
        attempt += 1
        name = f"step-{step:08}-{attempt}"
    return name


def _remove_older(folder: Path, keep: set[str | None]) -> None:
    best = _pointed(folder, "best")
    if not best and _pointer(folder, "best").exists():
        return  # the pointer is damaged: the best is unknown
    kept = keep.union(best)
    for path in folder.glob("step-*"):
        if path.name not in kept:
            _remove(path)


def _remove(checkpoint: Path) -> None:
    """The manifest first: after an interrupted removal the rest is not a checkpoint."""
    (checkpoint / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
