"""Writes the golden files of this folder: `python -m tests.golden.write_golden --reason "why the values may change"`.

A file is written only where its values are not those that the code gives now, and then the reason, with the digest of
the new values, is added to the reasons in it. `tests/golden/test_golden.py` compares the files with the code, and the
digest of the last reason with the values: a file that was changed by hand, or without a reason, fails.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))  # as pytest does

import made_engine  # noqa: E402
from cnnlab.arch import parse  # noqa: E402
from cnnlab.augment.crop import crop_offsets  # noqa: E402
from cnnlab.augment.cutout import cutout_boxes  # noqa: E402
from cnnlab.augment.flip import flip_choices  # noqa: E402
from cnnlab.augment.rotate import rotation_angles  # noqa: E402
from cnnlab.core.seeding import derive_generator  # noqa: E402
from cnnlab.data import Split  # noqa: E402
from cnnlab.engines.batches import epoch_order  # noqa: E402
from cnnlab.engines.dropout import keep_mask, words  # noqa: E402
from cnnlab.engines.initial import initial_weights  # noqa: E402
from cnnlab.recipe import Recipe  # noqa: E402
from cnnlab.recipe.augmentation import Flip  # noqa: E402

PLACES = [(1, 0), (1, 7), (2, 0)]
"""Seeds and epochs whose draws are kept."""
NUM_IMAGES = 500
EPOCHS, STEPS = 5, 4
"""Of every trace: 20 steps."""


def integers(draw: Callable[[int, int], np.ndarray]) -> dict[str, Any]:
    """Of each place the first draws, to be read, and a digest of all."""
    kept = {}
    for seed, epoch in PLACES:
        drawn = draw(seed, epoch).astype(np.int64)
        digest = hashlib.sha256(drawn.astype("<i8").tobytes()).hexdigest()[:16]
        kept[f"seed {seed}, epoch {epoch}"] = {"first": drawn.reshape(-1)[:12].tolist(), "sha256": digest}
    return kept


def order() -> dict[str, Any]:
    return integers(lambda seed, epoch: epoch_order(seed, epoch, NUM_IMAGES))


def crop() -> dict[str, Any]:
    return integers(lambda seed, epoch: crop_offsets(derive_generator(seed, "crop", epoch), NUM_IMAGES, padding=4))


def flip() -> dict[str, Any]:
    return integers(lambda seed, epoch: flip_choices(Flip(p=0.5), seed, epoch, NUM_IMAGES))


def rotate() -> dict[str, Any]:
    """In millionths of a degree."""
    return integers(
        lambda seed, epoch: np.round(
            1e6 * rotation_angles(derive_generator(seed, "rotate", epoch), NUM_IMAGES, degrees=15)
        )
    )


def cutout() -> dict[str, Any]:
    return integers(lambda seed, epoch: cutout_boxes(derive_generator(seed, "cutout", epoch), NUM_IMAGES, 16, 32, 32))


def init() -> dict[str, Any]:
    """Of each array of a network that has all kinds its deviation and first numbers, by method."""
    shape = (3, 12, 12)
    text = "conv 3x3 4 | sepconv 3x3 6 pad 1 nobias | bn | residual(conv 1x1 6) | flatten | linear 3"
    kept = {}
    for method in ("auto", "torch", "lecun", "he", "glorot", "orthogonal"):
        arrays = initial_weights(parse(text), shape, 5, method)
        kept[method] = {
            name: [float(f"{value:.6g}") for value in (array.std(), *array.flat[:3])]
            for name, array in arrays.items()
            if array.ndim
        }
    return kept


def dropout() -> dict[str, Any]:
    """Which units of 500 images are kept, of a layer with 40 units."""

    def mask(seed: int, epoch: int) -> np.ndarray:
        return keep_mask(*words(seed, "3.body.1", epoch, NUM_IMAGES, 40), 0.3)

    return integers(mask)


def data() -> dict[str, Split]:
    """64 train and 24 val images of three classes, 12 x 12 x 3, out of a hash function: the same for ever."""
    parts = {}
    for name, count in (("train", 16 * STEPS), ("val", 24)):
        noise = np.frombuffer(hashlib.shake_256(name.encode()).digest(count * 12 * 12 * 3), np.uint8)
        labels = np.arange(count) % 3
        images = noise.reshape(count, 12, 12, 3) // 2
        images[np.arange(count), :, :, labels] += 60
        parts[name] = Split(images, labels)
    return parts


TRACED: dict[str, dict[str, Any]] = {
    "sgd, batch norm, crop, flip, one cycle": {
        "arch": {"layers": "conv 3x3 8 pad 1 nobias | bn | relu | pool 2 | flatten | linear 3"},
        "optim": {"name": "sgd", "lr": 0.01, "nesterov": True, "weight_decay": 1e-2},
        "augment": {"crop": {"padding": 2}, "flip": {}},
        "schedule": {"name": "onecycle"},
    },
    "adam, l1, smoothing, cosine": {
        "arch": {"layers": "conv 5x5 6 | relu | pool 2 | conv 3x3 8 | swish | flatten | linear 12 | relu | linear 3"},
        "optim": {"name": "adam", "lr": 3e-3},
        "loss": {"l1": 1e-3, "label_smoothing": 0.1},
        "schedule": {"name": "cosine"},
    },
    "adamw, averaged, clipped, residual A": {
        "arch": {
            "layers": "conv 3x3 6 pad 1 nobias | bn | relu | residual(conv 3x3 8 stride 2 pad 1 nobias | bn | relu | "
            "conv 3x3 8 pad 1 nobias | bn; shortcut A) | gap | linear 3"
        },
        "optim": {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1, "decay_norm_and_bias": False},
        "train": {"clip_norm": 0.5, "ema": 0.95},
        "schedule": {"name": "warmup-hold-cosine"},
    },
    "last batch left out, residual B, reflection, steps": {
        "arch": {
            "layers": "conv 3x3 6 stride 2 pad 1 nobias | bn | leaky-relu | "
            "residual(sepconv 3x3 8 stride 2 pad 1 | bn; shortcut B) | avg-pool 3 | flatten | linear 3"
        },
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.8},
        "augment": {"crop": {"padding": 3, "mode": "reflect"}},
        "train": {"batch_size": 15, "drop_last": True},
        "schedule": {"name": "multistep", "milestones": ["2ep", "15it"], "gamma": 0.3},
    },
    "dropout, linear schedule": {
        "arch": {"layers": "flatten | dropout 0.2 | linear 16 | gelu | dropout 0.5 | linear 3"},
        "optim": {"name": "sgd", "lr": 0.05},
        "schedule": {"name": "linear"},
    },
}


def trace(tables: dict[str, Any]) -> dict[str, Any]:
    """Loss of every step and of val after every epoch: torch engine, fp32, one thread, from its own initial weights."""
    train = {"epochs": EPOCHS, "batch_size": 16} | tables.get("train", {})
    fixed = {"seed": 4, "precision": "fp32", "data": {"source": "made", "val": 24}, "train": train}
    recipe = Recipe.from_dict({**tables, **fixed})
    parts = data()
    shape = made_engine.shape_of(parts["train"])
    weights = initial_weights(recipe.arch.build(shape, 3), shape, recipe.seed)
    engine = made_engine.torch_engine(recipe, weights, parts, (0.4, 0.45, 0.5), (0.25, 0.25, 0.3))
    got = made_engine.trained(engine, recipe)
    return {
        "train": [float(f"{loss:.7g}") for epoch in got.losses for loss in epoch],
        "val": [float(f"{row['val_loss']:.7g}") for row in got.rows],
    }


def traces() -> dict[str, Any]:
    return {name: trace(tables) for name, tables in TRACED.items()}


FILES: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {
    "draws.json": {
        "order": order,
        "crop": crop,
        "flip": flip,
        "rotate": rotate,
        "cutout": cutout,
        "init": init,
        "dropout": dropout,
    },
    "traces.json": {"traces": traces},
}
"""File -> what it keeps -> the function that gives it now."""


# Relative difference of losses that other processors may have; README.md says how it was chosen.
RTOL = 1e-4


def matches(kept: Any, got: Any) -> bool:
    """Whether values are those that were kept: floats within RTOL, all else exactly."""
    if isinstance(kept, dict):
        return isinstance(got, dict) and kept.keys() == got.keys() and all(matches(kept[key], got[key]) for key in kept)
    if isinstance(kept, list):
        return isinstance(got, list) and len(kept) == len(got) and all(map(matches, kept, got))
    if isinstance(kept, float):
        return math.isclose(kept, got, rel_tol=RTOL)
    return bool(kept == got)


def digest(values: Any) -> str:
    """What a reason in a file signs."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def read(name: str) -> dict[str, Any]:
    """A golden file: its reasons and its values."""
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else {"reasons": [], "values": {}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reason", required=True, help="why the values may change, in a sentence")
    reason = parser.parse_args().reason
    for name, kinds in FILES.items():
        golden = read(name)
        values = {kind: give() for kind, give in kinds.items()}
        changed = [kind for kind in values if not matches(golden["values"].get(kind), values[kind])]
        print(f"{name}: {', '.join(changed) or 'nothing'} changed")
        if changed:
            reasons = [*golden["reasons"], {"reason": reason, "changed": changed, "sha256": digest(values)}]
            (FOLDER / name).write_text(json.dumps({"reasons": reasons, "values": values}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
