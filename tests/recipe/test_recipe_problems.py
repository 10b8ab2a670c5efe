"""Bad recipes: every problem in one message, each with its path and a way on."""

import datetime
import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.core.errors import RecipeError
from cnnlab.recipe import Recipe, preset_names
from cnnlab.recipe.augmentation import Augment, Crop
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.schedule import SCHEDULES
from cnnlab.recipe.sections import OPTIMIZERS, Data, EarlyStop, Loss, Train
from cnnlab.recipe.sources import merge, read


def problems(*overrides: str, recipe: str = "simplenn") -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(recipe, overrides)
    return tuple(caught.value.problems)


BUDGET = "expected a number of epochs from 1 on, or steps such as '64000it'"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("optim.lrr=0.1", "optim.lrr: unknown key for 'sgd'; did you mean 'lr'?"),
        ("lr=0.1", "lr: unknown key; did you mean 'optim.lr'?"),
        ("optm.lr=0.1", "optm: unknown key; did you mean 'optim'?"),
        (
            "train.epochs=-1",
            f"train.epochs: received -1, {BUDGET}",
        ),
        (
            "train.epochs=true",
            f"train.epochs: received True, {BUDGET}",
        ),
        (
            "train.epochs=1.5",
            f"train.epochs: received 1.5, {BUDGET}",
        ),
        (
            "train.epochs=50%",
            f"train.epochs: received '50%', {BUDGET}",
        ),
        ("optim.lr=0,1", "optim.lr: received '0,1', expected a number"),
        ("optim.lr=true", "optim.lr: received True, expected a number"),
        ("optim.lr=nan", "optim.lr: received nan, expected a finite number"),
        ("optim.nesterov=True", "optim.nesterov: received 'True', expected true or false"),
        ("optim.name=adm", "optim.name: received 'adm'; did you mean 'adam'?"),
        ("optim.name=3", "optim.name: received 3; expected one of: adadelta, adam, adamw, rmsprop, sgd"),
        ("optim=3", "optim: received 3, expected a table"),
        (
            "loss.distill.teacher=last",
            "loss.distill.teacher: received 'last', which is another run after the next one; expected a run's name",
        ),
        ("precision=bf61", "precision: received 'bf61'; did you mean 'bf16'?"),
        ("augment.flip=false", "augment.flip: received False, expected a table"),
        ("augment.crop.mode=reflct", "augment.crop.mode: received 'reflct'; did you mean 'reflect'?"),
        ("data.normalize=hal", "data.normalize: received 'hal'; did you mean 'half'?"),
        ("data.normalize={mean=[1]}", "data.normalize.std: missing, expected a value"),
        (
            "data.normalize={mean=[1, 2], std=[1]}",
            "data.normalize.std: received 1 numbers, expected 2, as many as data.normalize.mean",
        ),
        (
            "data.val=-1",
            "data.val: received -1, expected a count of images, a fraction below 1, or 0 for none",
        ),
        (
            "schedule={name='step', decay_epochs='8 epochs'}",
            "schedule.decay_epochs: received '8 epochs', expected a length such as '8ep' (epochs), "
            "'500it' (steps) or '10%' (of the training)",
        ),
        (
            "schedule={name='step', decay_epochs=0}",
            "schedule.decay_epochs: received '0ep', expected more than nothing",
        ),
        (
            "schedule={name='multistep', milestones=[8, 4]}",
            "schedule.milestones: received '8ep' before '4ep', expected milestones in increasing order",
        ),
        (
            "schedule.gamma=0.1",
            "schedule.name: missing; expected one of: constant, step, multistep, cosine, linear, warmup, "
            "warmup-hold-cosine, onecycle, plateau",
        ),
        (
            "schedule={name='warmup', warmup='31ep'}",
            "schedule.warmup: warmup '31ep' outlast 30 epochs (train.epochs); shorten it",
        ),
        (
            "schedule={name='warmup-hold-cosine', warmup='15ep', hold='60%'}",
            "schedule.warmup: warmup '15ep' and hold '60%' outlast 30 epochs (train.epochs); shorten it",
        ),
        (
            "optim={momentum=0, nesterov=true}",
            "optim.nesterov: received true, expected optim.momentum above 0 with it",
        ),
        (
            "arch.options.dropout=x",
            "arch: simplenn: dropout: received 'x', expected a number from 0 to below 1",
        ),
        (
            "arch.name='none'",
            "arch: received neither of name and layers, expected one of them",
        ),
        ("optim.lr", "--set optim.lr: expected key.path=value, such as optim.lr=0.1"),
        ("=3", "--set =3: expected key.path=value, such as optim.lr=0.1"),
        ("optim..lr=3", "--set optim..lr=3: expected key.path=value, such as optim.lr=0.1"),
    ],
)
def test_message(override: str, problem: str) -> None:
    assert problems(override) == (problem,)


def test_a_bad_architecture_is_a_problem_of_the_recipe() -> None:
    (problem,) = problems("arch.name=resnet21")
    assert problem.startswith("arch: unknown architecture 'resnet21'; did you mean 'resnet")
    (problem,) = problems("arch.layers=conv 3x3 8 | rellu")
    assert problem.startswith("arch.layers: ")
    assert "relu" in problem


def test_all_problems_come_together() -> None:
    found = problems(
        "nonsense",
        "optim.lrr=0.1",
        "train.batch_size=0",
        "train.early_stop.patience=3",
        "data.val=0",
        "loss.l1=-1",
        "precision=int8",
    )
    where = {line.split(":")[0] for line in found}
    assert where == {
        "--set nonsense",
        "optim.lrr",
        "train.batch_size",
        "train.early_stop",
        "loss.l1",
        "precision",
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    "override",
    [
        "train.early_stop.monitor=test_accuracy",
        "train.early_stop=test",
        "train.select=test",
        "train.ema=Test",
    ],
)
def test_choosing_on_test_is_refused_with_the_reason(override: str) -> None:
    assert "the test split is sealed" in problems(override)[0]


def test_an_inherited_key_is_dropped_but_a_given_one_is_refused() -> None:
    assert Recipe.load("resnet20", ["optim.name=adam"]).optim.weight_decay == 2e-4
    (problem,) = problems("optim.name=adam", "optim.momentum=0.9", recipe="resnet20")
    assert problem.startswith("optim.momentum: unknown key for 'adam'")


@pytest.mark.parametrize(
    ("overrides", "warning"),
    [
        (
            ["schedule={name='step', decay_epochs=30}"],
            "schedule.decay_epochs: '30ep' is not within 30 epochs",
        ),
        (["schedule={name='multistep', milestones=[8, 40]}"], "schedule.milestones: '40ep' is not within"),
        (["train.early_stop.patience=30"], "train.early_stop.patience: 30 never stops"),
    ],
)
def test_warnings(overrides: list[str], warning: str) -> None:
    (found,) = Recipe.load("simplenn", overrides).warnings
    assert found.startswith(warning)


def one_edit(word: str) -> Iterator[str]:
    letters = string.ascii_lowercase + "_"
    for at in range(len(word) + 1):
        yield from (word[:at] + letter + word[at:] for letter in letters)
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]
        yield from (word[:at] + letter + word[at + 1 :] for letter in letters)
    for at in range(len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def typos() -> Iterator[tuple[list[str], str, str]]:
    """(overrides that make the table, key of the table with a typo, the key meant), one edit apart."""
    tables: list[tuple[list[str], str, Any]] = [
        ([], "", Recipe),
        ([], "data.", Data),
        ([], "augment.", Augment),
        ([], "augment.crop.", Crop),
        ([], "loss.", Loss),
        ([], "train.", Train),
        ([], "train.early_stop.", EarlyStop),
        *(([f"optim.name={name}"], "optim.", model) for name, model in OPTIMIZERS.items()),
        *(([f"schedule.name={name}"], "schedule.", model) for name, model in SCHEDULES.items()),
    ]
    for preparation, prefix, model in tables:
        for key in model.model_fields:
            for typo in set(one_edit(key)) - set(model.model_fields) - {""}:
                yield preparation, prefix + typo, key


def test_typos_of_one_edit_are_corrected() -> None:
    sample = random.Random(0).sample(sorted(typos()), 1000)
    corrected = 0
    for preparation, path, meant in sample:
        found = problems(*preparation, f"{path}=1")
        (line,) = [line for line in found if line.startswith(f"{path}: unknown key")]
        corrected += f"did you mean '{meant}'?" in line
    assert corrected >= 950


BAD = [[[1]], {"x": 1}, datetime.date(2020, 1, 1), float("nan"), float("inf"), b"bytes", object()]


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """A preset and one change that makes it wrong: a bad value at a leaf, or a key that does not exist."""
    preset = draw(st.sampled_from(preset_names()))
    path = draw(st.sampled_from([path for path, _ in leaves(Recipe.named(preset).model_dump(exclude_none=True))]))
    if draw(st.booleans()):
        value = draw(st.sampled_from(BAD))
    else:
        path, value = path + "_" + draw(st.text(string.ascii_lowercase, max_size=5)), 1
    change: Any = value
    for key in reversed(path.split(".")):
        change = {key: change}
    return preset, path, change


@settings(max_examples=500, deadline=None)
@given(mutations())
def test_mutated_recipes_are_refused_at_the_place_of_the_mutation(mutation: tuple[str, str, Any]) -> None:
    preset, path, change = mutation
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(merge(read(preset), change))
    table = path.split(".")[0]
    assert any(line.startswith(table) for line in caught.value.problems)
