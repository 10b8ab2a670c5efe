"""The canonical form of a recipe: what makes two recipes the same experiment, and how two differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cnnlab.core.errors import RecipeError

# Increased by a release whose recipes have keys that the previous release does not know. Files without it have 1.
SCHEMA = 2

# Fields added after schema 1, each with its neutral value (JSON type). With this value a recipe is the same experiment
# as a recipe without the field, so the field is not hashed. It must be the field's default. A field of only one kind
# of a table is written `optim[adam].amsgrad`, a whole new table has `{}`.
# A new field without an entry is hashed unless it is None: it would change the hash of every stored run.
NEUTRAL: Mapping[str, Any] = {
    "arch.init": "auto",
    "augment.flip.alternate": False,
    "augment.rotate": None,
    "augment.cutout": None,
    "augment.affine": None,
    "augment.policy": None,
    "augment.randaugment": None,
    "augment.jitter": None,
    "augment.grayscale": None,
    "augment.equalize": None,
    "augment.posterize": None,
    "augment.solarize": None,
    "augment.blur": None,
    "augment.noise": None,
    "augment.erase": None,
    "augment.mixup": None,
    "augment.cutmix": None,
    "data.label_noise": 0.0,
    **{
        f"schedule[{kind}].{key}": value
        for kind in ("constant", "step", "multistep", "cosine", "linear")
        for key, value in (("warmup", "0ep"), ("start", 0.0))
    },
    **{f"schedule[{kind}].cooldown": "0ep" for kind in ("constant", "step", "multistep", "warmup")},
    "optim.lookahead": None,
    "optim.sam": None,
    "loss.name": "cross-entropy",
    "loss.gamma": 2.0,
    "loss.class_weights": None,
    "loss.distill": None,
    "train.accumulate": 1,
    "train.swa": None,
    "train.early_stop.monitor": "val_accuracy",
}


def canonical(values: Mapping[str, Any], table: str = "", neutral: Mapping[str, Any] = NEUTRAL) -> dict[str, Any]:
    """What is hashed: `values` without the neutral ones. None is neutral unless the table has another value."""
    kind = f"[{values.get('name')}]"
    hashed = {}
    for key, value in values.items():
        path, path_of_kind = (f"{table}.{key}", f"{table}{kind}.{key}") if table else (key, key)
        kept = canonical(value, path, neutral) if isinstance(value, Mapping) else value
        if kept != neutral.get(path_of_kind, neutral.get(path)):
            hashed[key] = kept
    return hashed


def digest(values: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of sorted JSON, independent of key order and machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_schema(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """`values` without their schema number. Raises RecipeError for an unknown one."""
    schema = values.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecipeError(f"{where}schema: received {schema!r}, expected a whole number from 1 to {SCHEMA}")
    if schema > SCHEMA:
        raise RecipeError(
            f"{where}schema: received {schema}, this cnnlab knows recipes up to schema {SCHEMA}; "
            "update cnnlab to the version that wrote it, or a later one"
        )
    return {key: value for key, value in values.items() if key != "schema"}


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every leaf that is not None, in order."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(path, our value, their value) of every leaf that differs; None where it is not set."""
    left, right = dict(leaves(ours)), dict(leaves(theirs))
    paths = [*left, *(path for path in right if path not in left)]
    return [(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]
