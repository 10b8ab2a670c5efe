"""Whole trainings against the float64 reference, over the options of a recipe: weights, memory, averages, losses.

Optimizers, weight decay and what it touches, L1 and clipping meet in one update, so all their combinations are run. The
other options are dealt out among them so that every two values of any two options occur together.
"""

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch

import made_engine
from cnnlab.data import Split
from cnnlab.recipe import Recipe
from reference import Reference, smoothed_cross_entropy

# The last batch has four images, so that two parts of it have two each: batch normalisation of flat data needs two.
IMAGES, VAL, CLASSES, SIDE = 14, 6, 3, 8
EPOCHS, BATCH = 2, 5
# float32 against float64: the largest difference over all cases was 2.5e-4 of an array's largest entry, the next
# below 1e-4.
TOLERANCE = 5e-4
MEAN, STD = (0.4, 0.5, 0.6), (0.3, 0.25, 0.2)

Options = dict[str, dict[str, Any]]
"""Option -> name of a value -> the tables of a recipe that say it."""


def optim(**values: Any) -> dict[str, Any]:
    return {"optim": values}


UPDATE: Options = {
    "optimizer": {
        "sgd": optim(name="sgd", lr=0.05, momentum=0.0),
        "momentum": optim(name="sgd", lr=0.02, momentum=0.9),
        "nesterov": optim(name="sgd", lr=0.02, momentum=0.8, nesterov=True),
        "adam": optim(name="adam", lr=0.005, betas=[0.8, 0.95], eps=1e-3),
        "adamw": optim(name="adamw", lr=0.005, eps=1e-2),
        "rmsprop": optim(name="rmsprop", lr=0.003, alpha=0.8, eps=1e-2),
        "rmsprop centered": optim(name="rmsprop", lr=0.003, alpha=0.7, eps=1e-1, momentum=0.5, centered=True),
        "adadelta": optim(name="adadelta", lr=0.5, rho=0.8, eps=1e-3),
    },
    "decay": {
        "no decay": optim(weight_decay=0.0),
        "decay of all": optim(weight_decay=0.1),
        "decay of weights": optim(weight_decay=0.1, decay_norm_and_bias=False),
    },
    "l1": {"no l1": {}, "l1": {"loss": {"l1": 0.01}}},
    "clip": {"no clip": {}, "clip": {"train": {"clip_norm": 0.5}}},
}
OTHER: Options = {
    "average": {
        "no average": {},
        "ema 0.3": {"train": {"ema": 0.3}},
        "ema 0.99": {"train": {"ema": 0.99}},
        "swa": {"train": {"swa": {"start": "0%"}}},
        "swa from the middle": {"train": {"swa": {"start": "50%"}}},
    },
    "around": {
        "optimizer alone": {},
        "lookahead": optim(lookahead={"steps": 2, "alpha": 0.3}),
        "sam": optim(sam={"rho": 0.1}),
    },
    "loss": {
        "cross-entropy": {},
        "focal": {"loss": {"name": "focal", "gamma": 1.5}},
        "mse": {"loss": {"name": "mse"}},
    },
    "class weights": {
        "equal": {},
        "balanced": {"loss": {"class_weights": "balanced"}},
        "given": {"loss": {"class_weights": [0.5, 2.0, 1.0]}},
    },
    "accumulate": {"whole batch": {}, "two parts": {"train": {"accumulate": 2}}},
    "smoothing": {"no smoothing": {}, "smoothing": {"loss": {"label_smoothing": 0.2}}},
    "drop_last": {"all images": {}, "drop last": {"train": {"drop_last": True}}},
    "schedule": {
        name: {"schedule": {"name": name.partition(" ")[0], **values}}
        for name, values in {
            "constant": {},
            "constant cooling": {"warmup": "1it", "start": 0.4, "cooldown": "50%"},
            "step": {"decay_epochs": 1, "gamma": 0.5, "cooldown": "2it"},
            "multistep": {"milestones": ["2it", "1ep"], "gamma": 0.3},
            "cosine": {"final": 0.1},
            "cosine warmed": {"final": 0.1, "warmup": "2it", "start": 0.2},
            "linear": {"final": 0.2},
            "warmup": {"warmup": "3it", "start": 0.1},
            "warmup-hold-cosine": {"warmup": "25%", "hold": "25%"},
            "onecycle": {"warmup": "3it", "start": 0.2, "final": 0.1},
            "onecycle linear": {"warmup": "50%", "down": "linear"},
        }.items()
    },
    "augment": {
        "as stored": {},
        "crop flip": {"augment": {"crop": {"padding": 2}, "flip": {"p": 0.5}}},
        "reflect": {"augment": {"crop": {"padding": 3, "mode": "reflect"}}},
        "flip": {"augment": {"flip": {"p": 0.3}}},
    },
    "network": {
        name: {"arch": {"layers": layers}}
        for name, layers in {
            "plain": "conv 3x3 4 pad 1 nobias | bn | relu | pool 2 | flatten | linear 3",
            "identity": "conv 3x3 4 stride 2 | leaky-relu | residual(conv 3x3 4 pad 1 nobias | bn | swish | "
            "conv 3x3 4 pad 1) | avg-pool 3 | flatten | linear 3",
            "shortcut A": "residual(conv 3x3 5 stride 2 pad 1 | gelu; shortcut A activation none) | "
            "sepconv 3x3 4 pad same | relu | gap | linear 3 nobias",
            "dropout": "conv 3x3 4 pad 1 nobias | bn | relu | dropout 0.25 | "
            "residual(conv 3x3 4 pad 1 | leaky-relu slope 0.2 | dropout 0.1 | conv 1x1 4) | pool 2 | flatten | "
            "linear 6 | gelu | dropout 0.5 | linear 3",
            "branches": "conv 3x3 6 stride 2 pad 1 nobias | bn eps 0.001 momentum 0.3 | hardswish | "
            "concat(split 1 2; split 2 2 | conv 3x3 3 pad 1 nobias | gn 3 | mish) | shuffle 2 | "
            "se 2 activation tanh | sum(identity; pool 3 stride 1 pad 1 | conv 1x1 6; elu alpha 0.5 | dropout 0.2) | "
            "gap | linear 3 | scale 0.5",
            "shortcut of layers": "conv 3x3 4 stride 2 pad 1 | ln | relu6 | "
            "residual(conv 3x3 6 stride 2 pad 1 nobias | bn | sigmoid | droppath 0.3; "
            "shortcut(dropout 0.1 | avg-pool 2 ceil | conv 1x1 6) activation leaky-relu slope 0.3) | flatten | "
            "linear 3",
            "shortcut B": "conv 3x3 4 stride 2 pad 1 nobias | bn | relu | "
            "residual(conv 3x3 6 stride 2 pad 1 groups 2 nobias | bn; shortcut B) | "
            "flatten | linear 6 nobias | bn | relu | linear 3",
        }.items()
    },
}
ALL = UPDATE | OTHER


Pair = tuple[tuple[str, str], tuple[str, str]]
"""Two options, each with one of its values."""


def _pairs(case: Mapping[str, str]) -> set[Pair]:
    return set(combinations(case.items(), 2))


def _wanted() -> set[Pair]:
    return {
        ((one, value), (other, second))
        for one, other in combinations(ALL, 2)
        for value, second in product(ALL[one], ALL[other])
    }


def _cases() -> list[tuple[str, ...]]:
    """Every combination of UPDATE, and more until every pair occurs; the rest of each brings the most new pairs."""
    generator = np.random.default_rng(0)
    missing = _wanted()
    cases = []

    def add(given: Mapping[str, str]) -> None:
        drawn = [
            {option: given.get(option) or str(generator.choice(list(names))) for option, names in ALL.items()}
            for _ in range(40)
        ]
        best = max(drawn, key=lambda case: len(_pairs(case) & missing))
        missing.difference_update(_pairs(best))
        cases.append(tuple(best.values()))

    for update in product(*UPDATE.values()):
        add(dict(zip(UPDATE, update, strict=True)))
    while missing:
        add(dict(min(missing)))
    return [cases[place] for place in generator.permutation(len(cases))]  # a fault shows soon, whatever it is in


CASES = _cases()


def test_every_two_values_of_two_options_meet() -> None:
    assert _wanted() == {pair for case in CASES for pair in _pairs(dict(zip(ALL, case, strict=True)))}


def recipe_of(case: tuple[str, ...]) -> Recipe:
    values: dict[str, Any] = {
        "seed": 3,
        "precision": "fp32",
        "data": {"source": "made", "val": VAL},
        "train": {"epochs": EPOCHS, "batch_size": BATCH},
    }
    for tables in (ALL[option][name] for option, name in zip(ALL, case, strict=True)):
        for table, entries in tables.items():
            values[table] = values.get(table, {}) | entries
    return Recipe.from_dict(values)


def images_and_labels(num_images: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (num_images, SIDE, SIDE, 3), dtype=np.uint8)
    return Split(images, np.arange(num_images) % CLASSES)


PARTS = {"train": images_and_labels(IMAGES, 0), "val": images_and_labels(VAL, 1)}


def start_of(recipe: Recipe) -> dict[str, np.ndarray]:
    """Weights and running statistics to begin with, float32; none of them is 0 or 1."""
    generator = np.random.default_rng(5)
    arrays = recipe.arch.build((3, SIDE, SIDE), CLASSES).trace((3, SIDE, SIDE)).arrays
    values = {each.name: generator.normal(0.2, 0.4, each.shape) for each in arrays if each.role != "count"}
    # Logits near 1: squared differences of larger ones diverge.
    values |= {name: value / 4 for name, value in values.items() if value.ndim == 2}
    values |= {name: 0.5 + value**2 for name, value in values.items() if name.endswith("running_var")}
    return {name: value.astype(np.float32) for name, value in values.items()}


def reference_of(recipe: Recipe, start: dict[str, np.ndarray], train: Split) -> Reference:
    tensors = {name: torch.from_numpy(value).double() for name, value in start.items()}
    weights = {name: value for name, value in tensors.items() if ".running_" not in name}
    running = {name: value for name, value in tensors.items() if ".running_" in name}
    layers = recipe.arch.build((3, SIDE, SIDE), CLASSES).layers
    assert train.labels is not None
    values = recipe.model_dump(mode="json")
    return Reference(values, layers, weights, running, train.images, train.labels, MEAN, STD)


def check_close(what: str, got: dict[str, np.ndarray], expected: dict[str, Any]) -> None:
    """Every named array of the engine is the reference's, up to TOLERANCE of its largest entry."""
    assert got.keys() == expected.keys(), what
    for name, value in expected.items():
        largest = np.abs(np.asarray(value)).max()
        np.testing.assert_allclose(got[name], value, rtol=0, atol=TOLERANCE * largest, err_msg=f"{what}: {name}")


@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_two_epochs_equal_the_reference(case: tuple[str, ...]) -> None:
    """With both engines."""
    recipe = recipe_of(case)
    start = start_of(recipe)
    reference = reference_of(recipe, start, PARTS["train"])
    losses, val = [], []
    for epoch in range(EPOCHS):
        losses.append(reference.run_epoch(epoch))
        val.append(float(smoothed_cross_entropy(reference.logits(PARTS["val"].images), PARTS["val"].labels, 0)))
    for make in (made_engine.torch_engine, made_engine.scratch_engine):
        check_trained(
            made_engine.trained(make(recipe, start, PARTS, MEAN, STD), recipe), recipe, reference, losses, val
        )


def check_trained(
    got: made_engine.Trained, recipe: Recipe, reference: Reference, losses: list[float], val: list[float]
) -> None:
    weights = {name: value for name, value in got.weights.items() if "num_batches" not in name}
    averaged = {name: value for name, value in got.averaged.items() if "num_batches" not in name}
    check_close("weight or running statistic", weights, {**reference.weights, **reference.running})
    check_close("average", averaged, reference.averaged)
    for name in reference.weights:
        check_close(f"optimizer's memory of {name}", got.memory[name], reference.memory[name])
    for epoch, row in enumerate(got.rows):
        close = {"rel": TOLERANCE}
        assert got.losses[epoch] == pytest.approx(reference.losses[epoch], **close)
        assert row["train_loss"] == pytest.approx(losses[epoch], **close)
        assert row["val_loss"] == pytest.approx(val[epoch], **close)
        seen = IMAGES // BATCH * BATCH if recipe.train.drop_last else IMAGES
        assert abs(row["train_accuracy"] * seen - reference.hits[epoch]) < 0.01 + reference.close_calls[epoch]
