"""The from-scratch engine beside the torch engine: the same steps, the same state, on one thread and on several.

Whole trainings against the float64 reference are in `tests/engines/torch/test_training_step.py`, for both engines.
"""

import numpy as np
import pytest
import torch

import made_engine
from cnnlab.core.errors import CnnlabError
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import Parts
from cnnlab.engines.scratch import free_memory, network, prepare
from cnnlab.engines.scratch.engine import ScratchEngine
from cnnlab.engines.scratch.threads import slow_blas_notes
from cnnlab.engines.torch.devices import DTYPES
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.engines.torch.network import network as torch_network
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe

MEAN, STD = (0.4, 0.5, 0.6), (0.3, 0.25, 0.2)
NETWORKS = {
    "simplenn": {"arch": {"name": "simplenn"}},
    "resnet20": {"arch": {"name": "resnet20"}},
    "mds5122": {
        "arch": {"name": "mds5122-baseline", "options": {"width": 0.125}},
        "optim": {"name": "adam", "lr": 1e-3},
    },
    "everything": {
        "arch": {
            "layers": "conv 3x3 6 pad 1 nobias | bn | relu | dropout 0.2 | residual(conv 3x3 8 stride 2 pad 1 | gn 2 | "
            "droppath 0.3; shortcut B) | gap | linear 3"
        },
        "augment": {"mixup": {"alpha": 0.4}, "cutout": {"size": 8}, "jitter": {"brightness": 0.3}},
        "loss": {"label_smoothing": 0.1, "class_weights": "balanced"},
        "train": {"ema": 0.9},
    },
}


def recipe_of(name: str, **train: object) -> Recipe:
    made = {"source": "made", "val": 8}
    sgd = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
    values = {"seed": 2, "precision": "fp32", "data": made, "optim": sgd, **NETWORKS[name]}
    augment = values.get("augment", {"crop": {"padding": 4}, "flip": {"p": 0.5}})
    return Recipe.from_dict(
        values | {"augment": augment, "train": {"epochs": 1, "batch_size": 12, **values.get("train", {}), **train}}
    )


def split(count: int, seed: int) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Split(images, np.arange(count) % 3)


PARTS = {"train": split(120, 0), "val": split(9, 1)}


def start_of(recipe: Recipe) -> dict[str, np.ndarray]:
    from cnnlab.engines.initial import initial_weights

    return initial_weights(recipe.arch.build((3, 32, 32), 3), (3, 32, 32), recipe.seed, recipe.arch.init)


def close(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].shape == value.shape, name
        # A vector of weights is compared by its length: of a weight near zero, only the absolute error says anything.
        error = np.linalg.norm(np.float64(ours[name]) - value) / max(np.linalg.norm(np.float64(value)), 1e-6)
        assert error < tolerance, (name, error)


def ten_steps(recipe: Recipe, **ours: object) -> tuple[ScratchEngine, TorchEngine]:
    """Both engines after ten steps from equal weights, with equal draws."""
    start = start_of(recipe)
    if ours:
        start = {name: np.float64(value) if value.dtype == np.float32 else value for name, value in start.items()}
    engines = (
        made_engine.scratch_engine(recipe, start, PARTS, MEAN, STD, **ours),
        made_engine.torch_engine(recipe, start, PARTS, MEAN, STD),
    )
    for engine in engines:
        engine.start_epoch(0)
        for step in range(10):
            engine.train_step(step, 0.01)
    return engines


@pytest.fixture
def torch_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch engine computes fp32 in float64 instead, so that rounding hides no difference."""
    monkeypatch.setitem(DTYPES, "fp32", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_equal_those_of_torch(name, torch_in_float64):
    """Weights, statistics, optimizer state, averages, loss and hits, in float64."""
    recipe = recipe_of(name)
    if recipe.augment.mixup:  # its shares are float32 in the torch engine
        recipe = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"mixup": None})})
    ours, theirs = ten_steps(recipe, dtype=np.float64)
    assert theirs.flat.weights.dtype == torch.float64
    close(ours.state(), theirs.state(), 1e-9)
    np.testing.assert_allclose(ours.totals().loss, theirs.totals().loss, rtol=1e-9)
    assert ours.totals().images == theirs.totals().images == 120
    assert ours.totals().correct == theirs.totals().correct
    np.testing.assert_allclose(ours.logits("val"), theirs.logits("val"), rtol=1e-5, atol=1e-5)


# Rounding grows from step to step, most where Adam divides a small gradient by its own size: in one run the errors of
# the torch engine's weights after ten steps were 6.5e-8, 1.5e-5, 2.9e-2 and 9e-8 of their length, ours 6.5e-8, 8.3e-6,
# 5.3e-2 and 9e-8. So float32 is compared with float64, and its error with that of the torch engine.
@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_in_float32_are_as_near_to_float64_as_those_of_torch(name):
    ours, theirs = ten_steps(recipe_of(name))
    recipe, start = recipe_of(name), start_of(recipe_of(name))
    exact = made_engine.scratch_engine(recipe, start, PARTS, MEAN, STD, dtype=np.float64)
    exact.start_epoch(0)
    for step in range(10):
        exact.train_step(step, 0.01)
    truth = np.concatenate(exact.parameters.vectors)
    errors = [
        np.linalg.norm(np.concatenate(vectors) - truth) / np.linalg.norm(truth)
        for vectors in (ours.parameters.vectors, [v.detach().numpy() for v in theirs.flat.vectors])
    ]
    assert errors[0] < max(1e-4, 5 * errors[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_threads_share_a_batch_without_changing_the_result(name):
    recipe = recipe_of(name)
    start = start_of(recipe)
    alone, together = (
        made_engine.scratch_engine(recipe, start, PARTS, MEAN, STD, threads, np.float64) for threads in (1, 3)
    )
    for engine in (alone, together):
        engine.start_epoch(0)
        for step in range(3):
            engine.train_step(step, 0.01)
    close(together.state(), alone.state(), 1e-9)
    np.testing.assert_allclose(together.logits("val"), alone.logits("val"), rtol=1e-6)


@pytest.mark.parametrize("first", ["scratch", "torch"])
def test_either_engine_continues_what_the_other_began(first):
    recipe = recipe_of("everything")
    start = start_of(recipe)
    makers = {"scratch": made_engine.scratch_engine, "torch": made_engine.torch_engine}
    (second,) = set(makers) - {first}
    whole, begun, continued = (makers[kind](recipe, start, PARTS, MEAN, STD) for kind in (first, first, second))
    for engine, steps in ((whole, range(6)), (begun, range(3))):
        engine.start_epoch(0)
        for step in steps:
            engine.train_step(step, 0.01)
    continued.start_epoch(0)
    continued.load_state({name: np.array(value) for name, value in begun.state().items()})
    for step in range(3, 6):
        continued.train_step(step, 0.01)
    close(continued.state(), whole.state(), 1e-4)


def test_resumed_training_is_the_same_bit_by_bit():
    recipe = recipe_of("everything")
    start = start_of(recipe)
    whole, begun, resumed = (made_engine.scratch_engine(recipe, start, PARTS, MEAN, STD, 2) for _ in range(3))
    for engine, steps in ((whole, range(6)), (begun, range(3))):
        engine.start_epoch(0)
        for step in steps:
            engine.train_step(step, 0.01)
    resumed.start_epoch(0)
    resumed.load_state({name: np.array(value) for name, value in begun.state().items()})
    for step in range(3, 6):
        resumed.train_step(step, 0.01)
    for name, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[name], value, err_msg=name)


def test_weights_and_state_are_float32():
    engine = made_engine.scratch_engine(recipe_of("everything"), start_of(recipe_of("everything")), PARTS, MEAN, STD)
    engine.start_epoch(0)
    engine.train_step(0, 0.01)
    wide = {name for name, value in engine.state().items() if value.dtype == np.float64}
    assert wide == {"progress.loss_sum"}
    assert engine.logits("val").dtype == np.float32
    assert engine.network.gradients.weights.dtype == np.float32


def test_a_loss_that_is_not_finite_is_reported_with_its_step():
    engine = made_engine.scratch_engine(recipe_of("simplenn"), start_of(recipe_of("simplenn")), PARTS, MEAN, STD)
    engine.start_epoch(0)
    engine.train_step(0, 0.01)
    assert engine.first_bad_step() is None
    engine.parameters.weights[...] = np.nan
    engine.train_step(1, 0.01)
    engine.train_step(2, 0.01)
    assert engine.first_bad_step() == 1


@pytest.mark.parametrize("name", ["resnet20", "everything"])
def test_predictions_equal_those_of_torch(name):
    recipe = recipe_of(name)
    architecture = recipe.arch.build((3, 32, 32), 3)
    arguments = architecture, (3, 32, 32), Normalisation(MEAN, STD), start_of(recipe)
    images = PARTS["val"].images
    np.testing.assert_allclose(network(*arguments).logits(images), torch_network(*arguments).logits(images), atol=1e-4)


def test_what_this_engine_cannot_do_is_said_all_at_once():
    recipe = Recipe.from_dict({**recipe_of("simplenn").model_dump(mode="json", exclude_none=True), "precision": "bf16"})
    parts = Parts(PARTS, Normalisation(MEAN, STD), 3)
    options = Options(device="cuda", compile="on", engine="scratch")
    with pytest.raises(CnnlabError) as caught:
        prepare(recipe, recipe.arch.build((3, 32, 32), 3), parts, options, None)
    assert [text.split(":")[0] for text in caught.value.problems] == ["--device", "--compile", "precision"]
    with pytest.raises(CnnlabError, match="expected auto or cpu"):
        free_memory("cuda")


def test_prepared_engine_reports_its_start():
    recipe = recipe_of("simplenn")
    prepared = prepare(
        recipe, recipe.arch.build((3, 32, 32), 3), Parts(PARTS, Normalisation(MEAN, STD), 3), Options(threads=1), None
    )
    assert prepared.execution.precision.value == "fp32"
    assert abs(prepared.start.loss - np.log(3)) < 0.1
    assert all(gradient > 0 for gradient in prepared.start.gradients)


def test_a_wrong_kind_of_core_is_said(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert slow_blas_notes() == ()
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    (note,) = slow_blas_notes()
    assert "OPENBLAS_CORETYPE=Haswell" in note
