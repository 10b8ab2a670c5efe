"""The canonical form of a recipe: what makes two recipes the same experiment, and how two differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any


def digest(values: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of sorted JSON; independent of key order and machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every leaf that is set, in order; an unset (None) value has no leaf."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(path, our value, their value) of every leaf that differs; None where one side has not set it."""
    left, right = dict(leaves(ours)), dict(leaves(theirs))
    paths = [*left, *(path for path in right if path not in left)]
    return [(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]
