"""Trainings with more state than weights: stopped and resumed; budgets in steps; plateau; teachers; wrong labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import StopAt, assert_same, one_thread, recipe_for

import cnnlab
from cnnlab.arch import parse
from cnnlab.core.errors import CnnlabError, DataError, Interrupted
from cnnlab.data.label_noise import with_wrong_labels
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import TeacherNetwork
from cnnlab.engines.torch.network import network
from cnnlab.engines.torch.teacher import Teacher
from cnnlab.launch.one import resume, train
from cnnlab.runs import RunFolder

CASES: dict[str, dict] = {
    "swa, lookahead, sam, accumulation": {
        "optim": {"name": "sgd", "lr": 0.05, "lookahead": {"steps": 3}, "sam": {"rho": 0.05}},
        "train": {"epochs": 3, "batch_size": 32, "accumulate": 3, "swa": {"start": "20%"}},
    },
    "rmsprop, plateau": {
        "optim": {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "centered": True},
        "schedule": {"name": "plateau", "patience": 0, "min_delta": 0.5},
    },
    "adadelta, budget in steps": {
        "optim": {"name": "adadelta", "lr": 1.0},
        "schedule": {"name": "constant", "warmup": "2it", "cooldown": "3it"},
        "train": {"epochs": "12it", "batch_size": 32, "test_curve": True},
    },
    "operations, mixing, focal loss of balanced classes": {
        "augment": {
            "crop": {"padding": 2},
            "affine": {"degrees": 10, "translate": [0.1, 0.1]},
            "jitter": {"brightness": 0.2, "hue": 0.1},
            "erase": {},
            "mixup": {},
        },
        "loss": {"name": "focal", "class_weights": "balanced"},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_run_continues_bitwise(name: str, data: Path, tmp_path: Path) -> None:
    recipe = recipe_for(data, **CASES[name])
    whole = train(recipe, one_thread(tmp_path / "whole")).path
    options = one_thread(tmp_path / "stopped")
    with pytest.raises(Interrupted):
        train(recipe, options, StopAt(2, 4))
    (stopped,) = (tmp_path / "stopped").iterdir()
    with pytest.raises(Interrupted):
        resume(RunFolder(stopped), options, StopAt(3, 1))
    resume(RunFolder(stopped), options)
    assert_same(whole, stopped)


def test_a_budget_in_steps_may_end_within_an_epoch(data: Path, tmp_path: Path) -> None:
    """12 steps of 32 images: two epochs of five steps (160 images), and two steps."""
    run = train(recipe_for(data, **CASES["adadelta, budget in steps"]), one_thread(tmp_path))
    assert [(row["epoch"], row["step"]) for row in run.metrics] == [(1, 5), (2, 10), (3, 12)]
    assert run.folder.total_epochs == 3
    assert run.metrics[-1]["lr"] == pytest.approx(1 / 3)  # the last but one point of a line of three steps to 0


def test_a_plateau_lowers_the_rate_of_the_next_epochs(data: Path, tmp_path: Path) -> None:
    """Improvements of half the loss never come: each epoch after the first lowers the rate."""
    run = train(recipe_for(data, **CASES["rmsprop, plateau"]), one_thread(tmp_path))
    assert [row["lr"] for row in run.metrics] == pytest.approx([0.01, 0.01, 0.001])


def distilling(source: Path, teacher: Path, **changes: object) -> cnnlab.Recipe:
    changes |= {"loss": {"distill": {"teacher": str(teacher), "temperature": 2.0, "weight": 1.0}}}
    return recipe_for(source, **changes)


def test_a_network_learns_from_a_run_and_from_its_model_file(data: Path, tmp_path: Path) -> None:
    teacher = train(recipe_for(data), one_thread(tmp_path / "teacher"))
    file = teacher.export(tmp_path / "teacher.safetensors")
    # Without the labels (weight 1) and with every label wrong, only the teacher can have taught it.
    wrong = {"data": {"source": str(data), "val": 40, "label_noise": 0.99}, "train": {"epochs": 6, "batch_size": 16}}
    options = one_thread(tmp_path / "runs")
    one, other = (train(distilling(data, place, **wrong), options) for place in (teacher.path, file))
    assert one.accuracy("test") > 0.6
    np.testing.assert_array_equal(one.folder.logits("test").logits, other.folder.logits("test").logits)
    assert one.folder.environment.teacher == other.folder.environment.teacher
    alone = train(recipe_for(data, **wrong), options)
    assert alone.accuracy("test") < 0.3


def test_a_teacher_with_another_normalisation_sees_its_own() -> None:
    """The learner's images are turned back: the logits are those of the network on the pixels."""
    architecture, shape = parse("conv 3x3 4 | relu | flatten | linear 3"), (3, 8, 8)
    weights = initial_weights(architecture, shape, seed=1, init="he")
    own, learner = Normalisation((0.1, 0.5, 0.9), (0.5, 0.2, 0.3)), Normalisation((0.4, 0.45, 0.6), (0.25, 0.4, 0.1))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    teacher = Teacher(TeacherNetwork(architecture, weights, own, ""), shape, learner, torch.device("cpu"))
    seen = torch.from_numpy(images.transpose(0, 3, 1, 2) / 255 - np.array(learner.mean)[:, None, None])
    seen = (seen / torch.tensor(learner.std)[:, None, None]).float()
    expected = network(architecture, shape, own, weights).logits(images)
    np.testing.assert_allclose(teacher(seen).numpy(), expected, atol=1e-4)


def test_a_teacher_that_changed_or_does_not_fit_is_refused(data: Path, tmp_path: Path) -> None:
    options = one_thread(tmp_path / "runs")
    first, second = (train(recipe_for(data, train={"epochs": n}), one_thread(tmp_path / "t")) for n in (1, 2))
    place = tmp_path / "teacher.safetensors"
    first.export(place)
    with pytest.raises(Interrupted):
        train(distilling(data, place), options, StopAt(2, 1))
    (stopped,) = (tmp_path / "runs").iterdir()
    second.export(place)
    with pytest.raises(CnnlabError, match="has changed since the run began"):
        resume(RunFolder(stopped), options)
    shapes = distilling(data, place, data={"source": "shapes", "val": 0}, arch={"layers": "flatten | linear 10"})
    with pytest.raises(CnnlabError) as caught:
        train(shapes, options)
    assert len(caught.value.problems) == 2  # images of another size, and other classes


def test_wrong_labels_are_another_class_and_as_many_as_asked() -> None:
    labels = np.arange(30_000) % 5
    noisy = with_wrong_labels(labels, 0.4, 5, seed=0)
    changed = noisy != labels
    assert changed.sum() == 12_000
    assert set(noisy) <= set(range(5))
    # Each of the four others 3,000 times, within five standard deviations of a binomial distribution.
    steps = np.bincount((noisy - labels)[changed] % 5, minlength=5)[1:]
    assert np.abs(steps - 3000).max() < 5 * (12_000 * 0.25 * 0.75) ** 0.5
    np.testing.assert_array_equal(noisy, with_wrong_labels(labels, 0.4, 5, seed=0))
    np.testing.assert_array_equal(labels, np.arange(30_000) % 5)


def test_only_training_labels_are_wrong(data: Path, tmp_path: Path) -> None:
    values = {"data": {"source": str(data), "val": 40, "label_noise": 0.5}, "train": {"epochs": 1}}
    run = train(recipe_for(data, **values), one_thread(tmp_path))
    with np.load(data) as arrays:
        np.testing.assert_array_equal(run.folder.logits("val").labels, arrays["y_train"][run.folder.places("val")])
        np.testing.assert_array_equal(run.folder.logits("test").labels, arrays["y_test"])


def test_class_weights_must_be_as_many_as_classes(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CnnlabError, match=r"loss\.class_weights: received 2 numbers, .* has 3 classes"):
        train(recipe_for(data, loss={"class_weights": [1.0, 2.0]}), one_thread(tmp_path))


def test_one_class_has_no_wrong_label(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    np.savez(path, x_train=images, y_train=np.zeros(20, dtype=np.int64))
    values = {"data": {"source": str(path), "val": 4, "label_noise": 0.5}, "arch": {"layers": "flatten | linear 1"}}
    with pytest.raises(DataError, match="has one class"):
        train(recipe_for(path, **values), one_thread(tmp_path / "runs"))
