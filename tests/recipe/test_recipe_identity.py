"""Presets, canonical form, hash and difference: which recipes are the same experiment."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from cnnlab.recipe import Recipe, preset_names
from cnnlab.recipe.problems import _models_of
from cnnlab.recipe.sources import LABELS

PROMISED = {"demo", "simplenn", "simplenn-aug", "simplenn-bn", "simplenn-mnist"}
PROMISED |= {"resnet20", "resnet20-short", "cnnclassify"}
PROMISED |= {f"mds5122-{name}" for name in ("baseline", "v1", "v2", "v3", "v4", "v5", "mnist")}

# Every field that matters: the changes that make a recipe have it, and a value unlike its first one.
CHANGES: dict[str, tuple[list[str], str]] = {
    "seed": ([], "2"),
    "precision": ([], "fp32"),
    "data.source": ([], "mnist"),
    "data.val": ([], "0.1"),
    "data.train_limit": ([], "1000"),
    "data.size": ([], "[32, 32]"),
    "data.normalize": ([], "half"),
    "data.label_noise": ([], "0.1"),
    "data.normalize.mean": (["data.normalize={mean=[0.5], std=[0.5]}"], "[0.4]"),
    "data.normalize.std": (["data.normalize={mean=[0.5], std=[0.5]}"], "[0.4]"),
    "augment.crop": ([], "{padding=4}"),
    "augment.crop.padding": (["augment.crop.mode=zero"], "2"),
    "augment.crop.mode": (["augment.crop.padding=4"], "reflect"),
    "augment.flip": ([], "{p=0.5}"),
    "augment.flip.p": (["augment.flip.p=0.5"], "0.4"),
    "augment.rotate": ([], "{degrees=15}"),
    "augment.rotate.degrees": (["augment.rotate.degrees=15"], "20"),
    "augment.rotate.interpolation": (["augment.rotate.degrees=15"], "bilinear"),
    "augment.flip.alternate": (["augment.flip.p=0.5"], "true"),
    "augment.policy": ([], "autoaugment"),
    "augment.affine": ([], "{}"),
    "augment.affine.degrees": (["augment.affine={}"], "20"),
    "augment.affine.translate": (["augment.affine={}"], "[0.2,0.2]"),
    "augment.affine.scale": (["augment.affine={}"], "[0.5,0.6]"),
    "augment.affine.shear": (["augment.affine={}"], "7"),
    "augment.affine.interpolation": (["augment.affine={}"], "bilinear"),
    "augment.randaugment": ([], "{}"),
    "augment.randaugment.num_ops": (["augment.randaugment={}"], "3"),
    "augment.randaugment.magnitude": (["augment.randaugment={}"], "4"),
    "augment.jitter": ([], "{}"),
    "augment.jitter.brightness": (["augment.jitter={}"], "0.3"),
    "augment.jitter.contrast": (["augment.jitter={}"], "0.3"),
    "augment.jitter.saturation": (["augment.jitter={}"], "0.3"),
    "augment.jitter.hue": (["augment.jitter={}"], "0.3"),
    "augment.grayscale": ([], "{}"),
    "augment.grayscale.p": (["augment.grayscale={}"], "0.3"),
    "augment.equalize": ([], "{}"),
    "augment.equalize.p": (["augment.equalize={}"], "0.3"),
    "augment.posterize": ([], "{}"),
    "augment.posterize.bits": (["augment.posterize={}"], "2"),
    "augment.posterize.p": (["augment.posterize={}"], "0.3"),
    "augment.solarize": ([], "{}"),
    "augment.solarize.threshold": (["augment.solarize={}"], "7"),
    "augment.solarize.p": (["augment.solarize={}"], "0.3"),
    "augment.blur": ([], "{}"),
    "augment.blur.kernel": (["augment.blur={}"], "5"),
    "augment.blur.sigma": (["augment.blur={}"], "[0.4,0.5]"),
    "augment.blur.p": (["augment.blur={}"], "0.3"),
    "augment.noise": ([], "{}"),
    "augment.noise.std": (["augment.noise={}"], "0.3"),
    "augment.noise.p": (["augment.noise={}"], "0.3"),
    "augment.erase": ([], "{}"),
    "augment.erase.p": (["augment.erase={}"], "0.3"),
    "augment.erase.scale": (["augment.erase={}"], "[0.5,0.6]"),
    "augment.erase.ratio": (["augment.erase={}"], "[0.5,0.6]"),
    "augment.mixup": ([], "{}"),
    "augment.mixup.alpha": (["augment.mixup={}"], "0.7"),
    "augment.mixup.p": (["augment.mixup={}"], "0.3"),
    "augment.cutmix": ([], "{}"),
    "augment.cutmix.alpha": (["augment.cutmix={}"], "0.7"),
    "augment.cutmix.p": (["augment.cutmix={}"], "0.3"),
    "augment.cutout": ([], "{size=16}"),
    "augment.cutout.size": (["augment.cutout.size=16"], "8"),
    "arch.name": ([], "resnet20"),
    "arch.layers": (["arch.layers=flatten | linear 10"], "flatten | linear 8 | relu | linear 10"),
    "arch.options": ([], "{dropout=0.5}"),
    "arch.init": ([], "he"),
    "optim.name": ([], "adam"),
    "optim.lr": ([], "0.02"),
    "optim.weight_decay": ([], "0"),
    "optim.decay_norm_and_bias": ([], "false"),
    "optim.momentum": ([], "0.8"),
    "optim.nesterov": ([], "true"),
    "optim.lookahead": ([], "{steps=5}"),
    "optim.lookahead.steps": (["optim.lookahead={}"], "3"),
    "optim.lookahead.alpha": (["optim.lookahead={}"], "0.3"),
    "optim.sam": ([], "{rho=0.05}"),
    "optim.sam.rho": (["optim.sam={}"], "0.1"),
    "optim.alpha": (["optim.name=rmsprop"], "0.9"),
    "optim.centered": (["optim.name=rmsprop"], "true"),
    "optim.rho": (["optim.name=adadelta"], "0.8"),
    "optim.betas": (["optim.name=adamw"], "[0.8, 0.99]"),
    "optim.eps": (["optim.name=adam"], "1e-6"),
    "schedule.name": ([], "cosine"),
    "schedule.decay_epochs": (["schedule={name='step', decay_epochs=10}"], "5"),
    "schedule.gamma": (["schedule={name='step', decay_epochs=10}"], "0.5"),
    "schedule.milestones": (["schedule={name='multistep', milestones=[10]}"], "[20]"),
    "schedule.final": (["schedule.name=cosine"], "0.1"),
    "schedule.warmup": (["schedule.name=warmup"], "3ep"),
    "schedule.start": (["schedule.name=warmup"], "0.3"),
    "schedule.cooldown": (["schedule.name=constant"], "20%"),
    "schedule.monitor": (["schedule.name=plateau"], "val_accuracy"),
    "schedule.patience": (["schedule.name=plateau"], "5"),
    "schedule.min_delta": (["schedule.name=plateau"], "0.01"),
    "schedule.hold": (["schedule.name=warmup-hold-cosine"], "20%"),
    "schedule.down": (["schedule.name=onecycle"], "linear"),
    "loss.name": ([], "focal"),
    "loss.gamma": (["loss.name=focal"], "3"),
    "loss.class_weights": ([], "balanced"),
    "loss.distill": ([], "{teacher='first'}"),
    "loss.distill.teacher": (["loss.distill={teacher='first'}"], "model.safetensors"),
    "loss.distill.temperature": (["loss.distill={teacher='first'}"], "2"),
    "loss.distill.weight": (["loss.distill={teacher='first'}"], "0.5"),
    "loss.label_smoothing": ([], "0.1"),
    "loss.l1": ([], "1e-5"),
    "train.epochs": ([], "31"),
    "train.batch_size": ([], "64"),
    "train.drop_last": ([], "true"),
    "train.accumulate": ([], "2"),
    "train.swa": ([], "{}"),
    "train.swa.start": (["train.swa={}"], "50%"),
    "train.clip_norm": ([], "1"),
    "train.ema": ([], "0.99"),
    "train.early_stop": ([], "{patience=10}"),
    "train.early_stop.patience": (["train.early_stop.patience=10"], "5"),
    "train.early_stop.monitor": (["train.early_stop.patience=10"], "val_loss"),
    "train.early_stop.min_delta": (["train.early_stop.patience=10"], "0.001"),
    "train.test_curve": ([], "true"),
}


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for key in model.model_fields:
        inner = _models_of(model, key)
        required_table = inner and prefix == ""
        if not required_table:
            yield prefix + key
        for one in inner:
            yield from paths(one, f"{prefix}{key}.")


def test_the_table_names_every_field() -> None:
    assert set(CHANGES) == set(paths(Recipe)) - set(LABELS)


@pytest.mark.parametrize("path", CHANGES)
def test_every_field_changes_the_hash(path: str) -> None:
    preparation, value = CHANGES[path]
    before = Recipe.load("simplenn", preparation)
    after = Recipe.load("simplenn", [*preparation, f"{path}={value}"])
    assert after.hash != before.hash
    assert any(where.startswith(path) for where, _, _ in before.diff(after))


@pytest.mark.parametrize("label", LABELS)
def test_labels_do_not_change_the_hash(label: str) -> None:
    changed = Recipe.named("simplenn", **{label: "something else"})
    assert changed.hash == Recipe.named("simplenn").hash
    assert Recipe.named("simplenn").diff(changed) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["optim.lr=1"], ["optim.lr=1.0"]),
        (["optim.weight_decay=0"], ["optim.weight_decay=-0.0"]),
        (["data.val=0"], ["data.val=0.0"]),
        ([], ["optim.nesterov=false", "data.normalize=train", "schedule.name=constant", "train.ema=none"]),
        ([], ["arch.options.batchnorm=false", "arch.options.dropout=0"]),
        (["arch.layers=flatten|linear 10"], ["arch.layers=flatten  |  linear 10"]),
        (["arch.layers=flatten | linear 10"], ["arch.layers=['flatten', {linear = {features = 10}}]"]),
        (["schedule={name='step', decay_epochs=8}"], ["schedule={decay_epochs='8ep', name='step'}"]),
        (["augment.crop.padding=4"], ["augment.crop={}"]),
    ],
)
def test_equal_experiments_are_equal(left: list[str], right: list[str]) -> None:
    one, other = Recipe.load("simplenn", left), Recipe.load("simplenn", right)
    assert one == other
    assert one.hash == other.hash
    assert len({one, other}) == 1


def test_the_hash_is_a_fixed_text() -> None:
    """Run folders of the past are found by it: a change here must be meant."""
    values = {
        "arch": {"layers": "flatten | linear 10"},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1},
    }
    assert Recipe.from_dict(values).hash == "9bef3fa88d998346"


def test_presets() -> None:
    assert set(preset_names()) == PROMISED
    for name in preset_names():
        recipe = Recipe.named(name)
        assert recipe.name == name
        assert recipe.description
        assert recipe.warnings == ()
        recipe.arch.build((1, 28, 28) if recipe.data.source == "mnist" else (3, 32, 32), 10)
    assert len({Recipe.named(name) for name in preset_names()}) == len(PROMISED)


def test_lab_1_is_as_the_course_says() -> None:
    recipe = Recipe.named("simplenn")
    assert (recipe.optim.name, recipe.optim.lr, recipe.optim.weight_decay) == ("sgd", 0.01, 1e-4)
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.data.val) == (30, 128, 5000)
    assert recipe.augment.crop is None
    assert recipe.augment.flip is None
    added = Recipe.named("simplenn-aug")
    assert recipe.diff(added) == [
        ("augment.crop.padding", None, 4),
        ("augment.crop.mode", None, "zero"),
        ("augment.flip.p", None, 0.5),
        ("augment.flip.alternate", None, False),
    ]


def test_a_recipe_does_not_change() -> None:
    recipe = Recipe.named("simplenn")
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 2  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        recipe.optim.lr = 2.0  # type: ignore[misc]


def test_written_layers_build() -> None:
    recipe = Recipe.named("simplenn", arch={"layers": "flatten | linear 7"})
    assert recipe.arch.build((3, 8, 8), 10).trace((3, 8, 8)).parameters == 3 * 8 * 8 * 7 + 7
