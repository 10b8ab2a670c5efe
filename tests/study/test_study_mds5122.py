"""The MDS 5122 ladder against course document 002: recipes, arms, claims and figures, copied from it by hand.

What the document does not print is marked as ours.
"""

from typing import Any

import pytest

from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.recipe.canonical import leaves
from cnnlab.study.definition import LIBRARY, Study

# Section 2.2: Adam, 128 epochs, rotation, horizontal flip, affine. Section 2.3.5: 3e-4, decay 1e-6. Section 2.3.4: the
# values of the augmentations. `normalize = "half"` is Normalize(mean 0.5, std 0.5).
BASELINE: dict[str, Any] = {
    "arch.init": "torch",
    "arch.name": "mds5122-baseline",
    "arch.options.width": 1.0,
    "augment.affine.degrees": 0.0,
    "augment.affine.interpolation": "nearest",
    "augment.affine.scale": [0.9, 1.1],
    "augment.affine.shear": 0.0,
    "augment.affine.translate": [0.1, 0.1],
    "augment.flip.p": 0.5,
    "augment.rotate.degrees": 15.0,
    "augment.rotate.interpolation": "nearest",
    "data.normalize": "half",
    "data.source": "cifar10",
    "data.val": 5000,  # ours; the document holds out none
    "loss.l1": 0.0,
    "loss.label_smoothing": 0.0,
    "optim.betas": [0.9, 0.999],
    "optim.decay_norm_and_bias": True,
    "optim.eps": 1e-8,
    "optim.lr": 3e-4,
    "optim.name": "adam",
    "optim.weight_decay": 1e-6,
    "precision": "auto",
    "schedule.name": "constant",
    "seed": 1,
    "train.batch_size": 128,  # ours
    "train.drop_last": False,
    "train.epochs": 128,
    "train.test_curve": True,
}
MORE_AUGMENTATION: dict[str, Any] = {
    "augment.crop.padding": 4,
    "augment.crop.mode": "reflect",
    "augment.jitter.brightness": 0.2,
    "augment.jitter.contrast": 0.2,
    "augment.jitter.saturation": 0.2,
    "augment.jitter.hue": 0.1,
    "augment.erase.p": 0.5,
    "augment.erase.scale": [0.02, 0.33],
    "augment.erase.ratio": [0.3, 3.3],
}
VARIANT_2: dict[str, Any] = {"arch.name": "mds5122-v2", "train.epochs": 64}
VARIANT_5: dict[str, Any] = {
    **VARIANT_2,
    **MORE_AUGMENTATION,
    "optim.lr": 3e-3,
    "schedule.name": "warmup-hold-cosine",
    "schedule.warmup": "10%",
    "schedule.start": 0.1,
    "schedule.cooldown": None,  # a key of the baseline's schedule only
    "schedule.hold": "40%",
    "schedule.final": pytest.approx(1e-6 / 3e-3),
}
# Section 2.4: crop to 28 (the crop has the size of the image), mean 0.1307, std 0.3081, no flip, 32 epochs.
MNIST: dict[str, Any] = {
    **VARIANT_5,
    "data.source": "mnist",
    "data.normalize": None,
    "data.normalize.mean": [0.1307],
    "data.normalize.std": [0.3081],
    "augment.flip.p": None,
    "augment.flip.alternate": None,
    "train.epochs": 32,
}
CHANGES: dict[str, dict[str, Any]] = {
    "mds5122-baseline": {},
    "mds5122-v1": {"arch.name": "mds5122-v1"},
    "mds5122-v2": VARIANT_2,
    "mds5122-v3": {"arch.name": "mds5122-v3", "train.epochs": 64},
    "mds5122-v4": {**VARIANT_2, **MORE_AUGMENTATION},
    "mds5122-v5": VARIANT_5,
    "mds5122-mnist": MNIST,
}
# Of the printed code; the table rounds them to 7.29M, 7.29M, 127.06M and 134.87M. MNIST: 28 -> 14 -> 7 -> 3.
PARAMETERS = {
    "mds5122-baseline": 7_281_802,
    "mds5122-v1": 7_286_922,
    "mds5122-v2": 127_055_370,
    "mds5122-v3": 134_870_282,
    "mds5122-v4": 127_055_370,
    "mds5122-v5": 127_055_370,
    "mds5122-mnist": 112_370_698,
}
ADAMW: dict[str, Any] = {"optim.name": "adamw", "optim.weight_decay": 0.01}
# An arm: its preset, and what it changes in that. Section 2.3.3 for ResNet-34, 2.3.5 for the two others.
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("mds5122-baseline", {}),
    "ResNet-34": ("mds5122-baseline", {"arch.name": "resnet34", "train.epochs": 64}),  # epochs: ours
    "AdamW + StepLR": (
        "mds5122-baseline",
        {
            **ADAMW,
            "schedule.name": "step",
            "schedule.decay_epochs": "25%",  # ours
            "schedule.gamma": 0.1,
        },
    ),
    "constant + cool-down": ("mds5122-baseline", {**ADAMW, "schedule.cooldown": "20%"}),  # the 20%: ours
    "variant 1": ("mds5122-v1", {}),
    "variant 2": ("mds5122-v2", {}),
    "variant 3": ("mds5122-v3", {}),
    "variant 4": ("mds5122-v4", {}),
    "variant 5": ("mds5122-v5", {}),
}
# left, relation, right, margin, metric, times: section of the document.
CLAIMS = {
    ("variant 1", ">", "baseline", 0.0, "test", 1.0): "2.3.1",
    ("variant 1", ">", 0.0, 0.0, "test_loss_change 0.15625", 1.0): "2.3.1: after 20 of 128 epochs",
    ("variant 1", "<", 0.01, 0.0, "test_fall 0.15625", 1.0): "2.3.1: no significant changes; the point is ours",
    ("variant 1", ">", 0.05, 0.0, "train_val_gap", 1.0): "2.3.1: remains overfitted; five points are ours",
    ("variant 2", "==", "variant 1", 0.01, "test", 1.0): "2.3: minimal gains; the point is ours",
    ("variant 2", "<", "variant 1", 0.0, "images_per_second", 1.0): "2.5.1: higher computational cost",
    ("variant 3", ">", "variant 2", 0.0, "test", 1.0): "2.3.3",
    ("variant 3", ">", "variant 2", 0.0, "test_loss_unsteadiness", 1.0): "2.3.3: highly unstable",
    ("variant 3", ">", "variant 2", 0.0, "seconds", 3.0): "table 2: 387 to 124 minutes",
    ("variant 4", ">", "variant 2", 0.0, "test", 1.0): "2.3.4",
    ("variant 4", "==", "variant 3", 0.01, "test", 1.0): "2.3.4: matching; the point is ours",
    ("variant 4", "<", "variant 3", 0.0, "test_loss_unsteadiness", 1.0): "2.3.4: more stable than variant 3",
    ("variant 4", "<", "variant 3", 0.0, "seconds", 1.0): "2.5.1: residual connections cost more",
    ("variant 4", "<", "variant 2", 0.0, "train_val_gap", 1.0): "2.5.1: reduces overfitting",
    ("variant 4", "<", "variant 2", 0.0, "test_loss_unsteadiness", 1.0): "2.5.1: a smoother learning curve",
    ("variant 4", "<", 0.3125, 0.0, "test_loss_settles 0.1", 1.0): "2.3.4: stable after 20 of 64; 0.1 is ours",
    ("variant 4", ">", 0.78125, 0.0, "train_loss_settles 0.1", 1.0): "2.3.4: only after 50 of 64; 0.1 is ours",
    ("variant 5", ">", "variant 4", 0.0, "test", 1.0): "2.3.5",
    ("variant 5", "<", "variant 4", 0.0, "final_test_loss", 1.0): "table 2",
    ("variant 5", ">=", "variant 3", 0.0, "test", 1.0): "2.5.1: its accuracy can be achieved by variants 4 and 5",
    ("ResNet-34", "<", "baseline", 0.0, "test", 1.0): "2.3.3",
    ("AdamW + StepLR", "<", "baseline", 0.0, "test", 1.0): "2.3.5",
    ("constant + cool-down", "<", "AdamW + StepLR", 0.0, "test", 1.0): "2.3.5: further degraded",
}
MNIST_CLAIMS = {
    ("variant 5", ">", 0.995, 0.0, "test", 1.0): "2.4: 99.71%; the threshold is ours",
    ("variant 5", "<", -0.001, 0.0, "test_loss_change 0.8", 1.0): "2.4: no plateau; the threshold is ours",
}
# Table 2 and, with a section, the text. Times in hours and minutes, parameters in millions, as printed.
TABLE_2: dict[str, dict[str, Any]] = {
    "baseline": {"test": 86.97, "seconds": (0, 40)},
    "variant 1": {"test": 89.31, "seconds": (2, 28), "final_train_loss": 0.033, "final_test_loss": 0.472},
    "variant 2": {"test": 89.60, "seconds": (2, 4), "final_train_loss": 0.042, "final_test_loss": 0.456},
    "variant 3": {"test": 92.04, "seconds": (6, 27), "final_train_loss": 0.070, "final_test_loss": 0.335},
    "variant 4": {"test": 92.04, "seconds": (2, 4), "final_train_loss": 0.215, "final_test_loss": 0.291},
    "variant 5": {"test": 93.04, "seconds": (2, 4), "final_train_loss": 0.154, "final_test_loss": 0.249},
}
MILLIONS = dict(zip(TABLE_2, (7.29, 7.29, 127.06, 134.87, 127.06, 127.06), strict=True))
SECTIONS: dict[tuple[str, str], tuple[Any, str]] = {
    ("baseline", "final_train_loss"): (0.209, "2.2"),
    ("ResNet-34", "test"): (84.33, "2.3.3"),
    ("ResNet-34", "seconds"): ((1, 13), "2.3.3"),
    ("ResNet-34", "final_train_loss"): (0.129, "2.3.3"),
    ("AdamW + StepLR", "test"): (83.82, "2.3.5"),
    ("constant + cool-down", "test"): (68.85, "2.3.5"),
}


def printed(metric: str, value: Any) -> float:
    """A figure as the document prints it, in the units of the metric: shares, seconds, parameters."""
    if metric == "seconds":
        hours, minutes = value
        return float(3600 * hours + 60 * minutes)
    return float(value) * {"test": 0.01, "parameters": 1e6}.get(metric, 1.0)


def differences(one: Recipe, other: Recipe) -> dict[str, Any]:
    return {path: theirs for path, _, theirs in one.diff(other)}


def test_every_value_of_the_baseline() -> None:
    assert dict(leaves(Recipe.named("mds5122-baseline").canonical())) == BASELINE


@pytest.mark.parametrize("preset", CHANGES)
def test_a_preset_changes_what_the_document_changes_and_nothing_else(preset: str) -> None:
    assert differences(Recipe.named("mds5122-baseline"), Recipe.named(preset)) == CHANGES[preset]


@pytest.mark.parametrize("preset", PARAMETERS)
def test_the_network_of_a_preset_has_the_parameters_of_the_printed_code(preset: str) -> None:
    shape = (1, 28, 28) if preset == "mds5122-mnist" else (3, 32, 32)
    assert Recipe.named(preset).arch.build(shape, 10).trace(shape).parameters == PARAMETERS[preset]


def test_the_rates_of_variant_5_are_those_of_the_text() -> None:
    """Section 2.3.5: from 3e-4 to 3e-3 in the first 10%, 40% at 3e-3, then a cosine, to 1e-6 (its eta_min)."""
    recipe = Recipe.named("mds5122-v5")
    rates = [lr_at(recipe.schedule, recipe.optim.lr, step, 100, 6400) for step in range(6401)]
    assert rates[0] == pytest.approx(3e-4)
    assert rates[320] == pytest.approx((3e-4 + 3e-3) / 2)
    assert rates[640:3201] == pytest.approx([3e-3] * 2561)
    assert rates[4800] == pytest.approx((3e-3 + 1e-6) / 2)
    assert rates[6400] == pytest.approx(1e-6)


def test_every_arm_is_its_preset_or_changes_what_is_listed() -> None:
    study = Study.load("mds5122")
    found = {}
    for arm in study.arms():
        preset, changes = ARMS[arm.name]
        found[arm.name] = differences(Recipe.named(preset), arm.recipe)
        assert found[arm.name] == changes, arm.name
    assert list(found) == [
        *("baseline", "ResNet-34", "AdamW + StepLR", "constant + cool-down"),
        *("variant 1", "variant 2", "variant 3", "variant 4", "variant 5"),
    ]
    (mnist,) = Study.load("mds5122-mnist").arms()
    assert (mnist.name, differences(Recipe.named("mds5122-mnist"), mnist.recipe)) == ("variant 5", {})


@pytest.mark.parametrize(("name", "expected"), [("mds5122", CLAIMS), ("mds5122-mnist", MNIST_CLAIMS)])
def test_every_claim(name: str, expected: dict[tuple[Any, ...], str]) -> None:
    claims = Study.load(name).claims
    assert [(c.left, c.relation, c.right, c.margin, c.metric, c.times) for c in claims] == list(expected)
    assert all(claim.text for claim in claims)


def test_every_published_figure() -> None:
    expected = {}
    for arm, row in TABLE_2.items():
        for metric, value in {**row, "parameters": MILLIONS[arm]}.items():
            expected[arm, metric] = (printed(metric, value), "MDS 5122 homework 1, table 2")
    for (arm, metric), (value, section) in SECTIONS.items():
        expected[arm, metric] = (printed(metric, value), f"MDS 5122 homework 1, section {section}")
    published = Study.load("mds5122").published
    assert len({(each.arm, each.metric) for each in published}) == len(published) == len(expected)
    for each in published:
        value, source = expected[each.arm, each.metric]
        assert each.value == pytest.approx(value, rel=1e-9), (each.arm, each.metric)
        assert each.source == source, (each.arm, each.metric)
    (mnist,) = Study.load("mds5122-mnist").published
    assert (mnist.metric, mnist.value, mnist.source) == ("test", 0.9971, "MDS 5122 homework 1, section 2.4")


def test_the_macs_in_the_comment_on_times_are_counted() -> None:
    """6 h 27 is 3.12 times 2 h 04."""
    two, three = (
        Recipe.named(f"mds5122-{name}").arch.build((3, 32, 32), 10).trace((3, 32, 32)).macs for name in ("v2", "v3")
    )
    comment = " ".join((LIBRARY / "mds5122.toml").read_text(encoding="utf-8").replace("\n#", "").split())
    assert f"{three / two:.2f} times those of variant 2 ({three:,} and {two:,})" in comment
    assert f"6 h 27 is {387 / 124:.2f} times its 2 h 04" in comment
