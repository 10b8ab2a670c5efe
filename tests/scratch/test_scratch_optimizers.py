"""Ten steps in NumPy against torch's optimizers in float64; checkpoints that go from one to the other."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

import reference
from cnnlab.arch import parse
from cnnlab.core.errors import WeightsError
from cnnlab.engines.torch import averages as twin_averages
from cnnlab.engines.torch import optimizers as twin
from cnnlab.recipe.sections import Adadelta, Adam, AdamW, Lookahead, Optimizer, RmsProp, Sam, Sgd
from cnnlab.scratch import optimizers
from cnnlab.scratch.averages import Average
from cnnlab.scratch.optimizers import SlowWeights, WorstPoint, add_l1, build_optimizer, clip_norm
from cnnlab.scratch.parameters import Gradients, Parameters

ARRAYS = parse("conv 3x3 4 | bn | relu | flatten | linear 5").trace((3, 4, 4)).arrays
RATES = [0.05 * (1 + step % 3) for step in range(10)]

EVERY: list[Optimizer] = [
    Sgd(lr=0.1, momentum=0.0, weight_decay=0.02),
    Sgd(lr=0.1, momentum=0.9),
    Sgd(lr=0.1, momentum=0.9, weight_decay=0.01, decay_norm_and_bias=False),
    Sgd(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    Adam(lr=0.01),
    Adam(lr=0.01, weight_decay=0.01, betas=(0.8, 0.95), eps=1e-3),
    AdamW(lr=0.01, weight_decay=0.1, decay_norm_and_bias=False),
    RmsProp(lr=0.01, weight_decay=0.01),
    RmsProp(lr=0.01, alpha=0.9, eps=1e-4, momentum=0.9),
    RmsProp(lr=0.01, centered=True, weight_decay=0.01),
    RmsProp(lr=0.01, centered=True, momentum=0.5),
    Adadelta(lr=1.0, rho=0.8, weight_decay=0.01, decay_norm_and_bias=False),
]
every = pytest.mark.parametrize("optim", EVERY, ids=[f"{each.name}-{index}" for index, each in enumerate(EVERY)])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "BLOCK", 50)  # the vectors are 428 and 17 numbers long: whole blocks and a rest


def made(dtype: Any = np.float64) -> Parameters:
    rng = np.random.default_rng(0)
    return Parameters(ARRAYS, {each.name: np.asarray(rng.standard_normal(each.shape) * 3) for each in ARRAYS}, dtype)


def gradients_of(parameters: Parameters, step: int) -> Gradients:
    """Gradients that depend on the weights, so that an error in one step stays."""
    found = parameters.gradients()
    rng = np.random.default_rng(step + 1)
    for gradient, weights in zip(found.vectors, parameters.vectors, strict=True):
        gradient[...] = rng.standard_normal(gradient.shape) + 0.3 * weights
    return found


class Twin:
    """torch's own optimizer of the same vectors."""

    def __init__(self, optim: Optimizer, parameters: Parameters) -> None:
        self.vectors = [torch.nn.Parameter(torch.from_numpy(vector.copy())) for vector in parameters.vectors]
        decays = optim.weight_decay, optim.weight_decay if optim.decay_norm_and_bias else 0.0
        groups = [{"params": [v], "weight_decay": d} for v, d in zip(self.vectors, decays, strict=True)]
        self.optimizer = twin.build_optimizer(optim, groups)

    def step(self, gradients: Gradients, lr: float) -> None:
        for vector, gradient in zip(self.vectors, gradients.vectors, strict=True):
            vector.grad = torch.from_numpy(gradient.copy())
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """As `TorchEngine.state` writes it."""
        return {
            f"optim.{index}.{name}": value.numpy().copy()
            for index, vector in enumerate(self.vectors)
            for name, value in self.optimizer.state.get(vector, {}).items()
            if value is not None
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """As `TorchEngine.load_state` reads it."""
        for index, vector in enumerate(self.vectors):
            prefix = f"optim.{index}."
            saved = {k.removeprefix(prefix): torch.tensor(v) for k, v in state.items() if k.startswith(prefix)}
            if saved:
                self.optimizer.state[vector] = saved


def assert_equal(parameters: Parameters, other: Twin, rtol: float = 1e-11, atol: float = 1e-12) -> None:
    for vector, tensor in zip(parameters.vectors, other.vectors, strict=True):
        np.testing.assert_allclose(vector, tensor.detach().numpy(), rtol=rtol, atol=atol)


@every
def test_ten_steps_are_torchs(optim: Optimizer) -> None:
    ours = made()
    other, optimizer = Twin(optim, ours), build_optimizer(optim, ours)
    assert optimizer.state() == other.state() == {}
    for step, lr in enumerate(RATES):
        gradients = gradients_of(ours, step)
        kept = [vector.copy() for vector in gradients.vectors]
        other.step(gradients, lr)
        optimizer.step(gradients, lr)
        assert_equal(ours, other)
        for vector, before in zip(gradients.vectors, kept, strict=True):
            np.testing.assert_array_equal(vector, before)
    expected, state = other.state(), optimizer.state()
    assert set(state) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-11, atol=1e-14)
        assert state[name].shape == value.shape
        assert state[name].dtype == value.dtype


@every
def test_ten_steps_are_the_formula(optim: Optimizer) -> None:
    ours = made()
    optimizer = build_optimizer(optim, ours)
    values = {name: torch.from_numpy(value.copy()) for name, value in ours.by_name.items()}
    weights = {each.name for each in ARRAYS if each.is_weight}
    memory: dict[str, Any] = {name: {} for name in values}
    for step, lr in enumerate(RATES):
        gradients = gradients_of(ours, step)
        for name, value in values.items():
            decay = optim.weight_decay if name in weights or optim.decay_norm_and_bias else 0.0
            gradient = torch.from_numpy(gradients.by_name[name].copy())
            values[name] = reference.updated(optim.model_dump(), value, gradient, lr, decay, memory[name], step + 1)
        optimizer.step(gradients, lr)
    for name, value in values.items():
        np.testing.assert_allclose(ours.by_name[name], value.numpy(), rtol=1e-9, atol=1e-11)


@every
@pytest.mark.parametrize("ours_first", [True, False])
def test_training_goes_on_in_the_other_engine(optim: Optimizer, ours_first: bool) -> None:
    ours = made()
    other, optimizer = Twin(optim, ours), build_optimizer(optim, ours)
    for step in range(3):
        gradients = gradients_of(ours, step)
        other.step(gradients, 0.05)
        optimizer.step(gradients, 0.05)
    if ours_first:
        fresh = Twin(optim, ours)
        fresh.load(optimizer.state())
        other = fresh
    else:
        optimizer = build_optimizer(optim, ours)
        given = other.state()
        optimizer.load_state({**given, "progress.updates": np.asarray(3)})
        optimizer.step(gradients_of(ours, 0), 0.0)
        for name, value in other.state().items():  # the arrays stay the caller's
            np.testing.assert_array_equal(given[name], value)
        optimizer.load_state(given)
    for step in range(3, 6):
        gradients = gradients_of(ours, step)
        other.step(gradients, 0.05)
        optimizer.step(gradients, 0.05)
    assert_equal(ours, other)


@every
def test_float32_stays_float32_and_in_place(optim: Optimizer) -> None:
    ours = made(np.float32)
    vectors, other, optimizer = ours.vectors, Twin(optim, ours), build_optimizer(optim, ours)
    same = made(np.float32)
    with_python_number = build_optimizer(optim, same)
    for step, lr in enumerate(RATES):
        gradients = gradients_of(ours, step)
        other.step(gradients, lr)
        optimizer.step(gradients, np.float64(lr))  # a schedule in NumPy must not cause a computation in float64
        with_python_number.step(gradients, lr)
    for vector, expected in zip(vectors, same.vectors, strict=True):
        np.testing.assert_array_equal(vector, expected)
    assert all(vector is before for vector, before in zip(ours.vectors, vectors, strict=True))
    assert {value.dtype for value in (*optimizer.state().values(), *ours.vectors)} <= {np.dtype(np.float32)}
    assert_equal(ours, other, rtol=2e-5, atol=2e-5)


def test_a_network_without_weights_or_others() -> None:
    arrays = parse("flatten | linear 2 nobias").trace((1, 2, 2)).arrays
    ours = Parameters(arrays, {arrays[0].name: np.ones((2, 4))})
    gradients = ours.gradients()
    gradients.vectors[0].fill(1)
    build_optimizer(Sgd(lr=1.0, momentum=0.0), ours).step(gradients, 0.5)
    np.testing.assert_array_equal(ours.vectors[0], 0.5)


@pytest.mark.parametrize("optim", [EVERY[1], EVERY[4], EVERY[9], EVERY[11]], ids=lambda each: each.name)
def test_nan_and_infinity_stay_where_they_are(optim: Optimizer) -> None:
    ours = made(np.float32)
    gradients = gradients_of(ours, 0)
    gradients.weights[7], gradients.weights[60] = np.nan, np.inf
    build_optimizer(optim, ours).step(gradients, 0.1)
    bad = [int(place) for place in np.flatnonzero(~np.isfinite(ours.weights))]
    assert bad == [7, 60]
    assert np.isfinite(ours.others).all()


def test_a_constant_gradient_leaves_no_root_of_a_negative_variance() -> None:
    ours = made(np.float32)
    optimizer, gradients = build_optimizer(RmsProp(lr=1.0, alpha=0.5, centered=True), ours), ours.gradients()
    for vector in gradients.vectors:
        vector[...] = np.linspace(0.1, 0.7, vector.size)
    for _ in range(60):
        optimizer.step(gradients, 1e-9)
    assert all(np.isfinite(vector).all() for vector in ours.vectors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("optim.1.exp_avg"), "state of the optimizer: received .*; expected .*optim.1.exp_avg"),
        (lambda state: state.update({"optim.0.momentum_buffer": np.zeros(428)}), "received .*momentum_buffer"),
        (lambda state: state.update({"optim.0.exp_avg": np.zeros(3)}), r"optim.0.exp_avg: received \(3,\), expected"),
    ],
)
def test_a_state_that_does_not_fit(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    ours = made()
    optimizer = build_optimizer(EVERY[4], ours)
    optimizer.step(gradients_of(ours, 0), 0.1)
    state = optimizer.state()
    change(state)
    with pytest.raises(WeightsError, match=message):
        optimizer.load_state(state)


@pytest.mark.parametrize("limit", [0.5, 5.0, 1e6])
@pytest.mark.parametrize("bad", [None, np.nan, np.inf])
def test_clipping_is_torchs(limit: float, bad: float | None) -> None:
    ours = made()
    gradients = gradients_of(ours, 0)
    if bad is not None:
        gradients.weights[3] = bad
    other = Twin(EVERY[0], ours)
    for vector, gradient in zip(other.vectors, gradients.vectors, strict=True):
        vector.grad = torch.from_numpy(gradient.copy())
    expected = torch.nn.utils.clip_grad_norm_(other.vectors, limit)
    np.testing.assert_allclose(clip_norm(gradients, limit), float(expected), rtol=1e-12)
    for gradient, vector in zip(gradients.vectors, other.vectors, strict=True):
        np.testing.assert_allclose(gradient, vector.grad.numpy(), rtol=1e-12)


def test_clipping_keeps_float32() -> None:
    ours = made(np.float32)
    gradients = gradients_of(ours, 0)
    before = gradients.weights.copy()
    norm = clip_norm(gradients, 1.0)
    np.testing.assert_array_equal(gradients.weights, before * np.float32(1 / (norm + 1e-6)))
    assert {vector.dtype for vector in gradients.vectors} == {np.dtype(np.float32)}
    assert np.linalg.norm(np.concatenate(gradients.vectors)) == pytest.approx(1.0, rel=1e-5)


def test_l1_is_the_derivative_of_the_sum_of_absolute_weights() -> None:
    ours = made()
    ours.weights[5] = 0.0
    gradients = gradients_of(ours, 0)
    before = [vector.copy() for vector in gradients.vectors]
    add_l1(gradients, ours, 0.25)
    leaf = torch.from_numpy(ours.weights.copy()).requires_grad_()
    (slope,) = torch.autograd.grad(0.25 * leaf.abs().sum(), [leaf])
    np.testing.assert_allclose(gradients.weights - before[0], slope.numpy(), atol=1e-14)
    np.testing.assert_array_equal(gradients.others, before[1])


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0])
def test_lookahead_is_the_torch_engines(alpha: float) -> None:
    ours, settings = made(), Lookahead(steps=3, alpha=alpha)
    other, optimizer = Twin(EVERY[1], ours), build_optimizer(EVERY[1], ours)
    slow, theirs = SlowWeights(settings, ours), twin.SlowWeights(settings, other.vectors)
    for step, lr in enumerate(RATES):
        gradients = gradients_of(ours, step)
        other.step(gradients, lr)
        optimizer.step(gradients, lr)
        slow.after_step(step + 1)
        theirs.after_step(step + 1)
        assert_equal(ours, other)
        if step == 4:
            state = {name: value.copy() for name, value in slow.state().items()}
            assert list(state) == ["lookahead.0", "lookahead.1"]
            slow = SlowWeights(settings, ours)
            slow.load_state(state)


def test_sam_is_the_torch_engines() -> None:
    ours = made()
    other, point = Twin(EVERY[1], ours), WorstPoint(Sam(rho=0.7), ours)
    for step in range(2):
        before = [vector.copy() for vector in ours.vectors]
        gradients = gradients_of(ours, step)
        for vector, gradient in zip(other.vectors, gradients.vectors, strict=True):
            vector.grad = torch.from_numpy(gradient.copy())
        with twin.at_worst_point(other.vectors, 0.7), point.reached(gradients):
            assert_equal(ours, other)
            moved = np.concatenate(ours.vectors) - np.concatenate(before)
            assert np.linalg.norm(moved) == pytest.approx(0.7, rel=1e-10)
            assert not any(gradient.any() for gradient in gradients.vectors)
        for vector, kept in zip(ours.vectors, before, strict=True):
            np.testing.assert_array_equal(vector, kept)
        build_optimizer(Sgd(lr=0.1), ours).step(gradients_of(ours, step), 0.1)
        other = Twin(EVERY[1], ours)


def test_sam_gives_the_weights_back_after_an_error() -> None:
    ours = made()
    before = [vector.copy() for vector in ours.vectors]
    with pytest.raises(KeyError), WorstPoint(Sam(), ours).reached(gradients_of(ours, 0)):
        raise KeyError
    for vector, kept in zip(ours.vectors, before, strict=True):
        np.testing.assert_array_equal(vector, kept)


@pytest.mark.parametrize("kind", ["follow", "include"])
def test_averages_are_the_torch_engines(kind: str) -> None:
    ours = made()
    tensors = [torch.from_numpy(vector) for vector in ours.averaged()]  # the same memory
    average, theirs = Average(ours), twin_averages.Average(tensors)
    assert not average.is_kept
    assert "progress.averaged" not in average.state()
    for step in range(6):
        for number, vector in enumerate(ours.averaged()):
            vector *= 1e-3  # so that the way to a value, added to the start, is not the value to the last digit
            vector += 1e-2 * np.random.default_rng((step, number)).standard_normal(vector.shape)
        if kind == "follow":
            decay = min(0.9, (1 + step) / (10 + step))
            average.follow(decay)
            theirs.follow(decay)
        else:
            average.include()
            theirs.include()
            if step == 0:
                np.testing.assert_array_equal(average.vectors[0], ours.vectors[0])
        if step == 3:
            state = {name: value.copy() for name, value in average.state().items()}
            assert list(state) == ["average.0", "average.1", "average.2", "progress.averaged"]
            average = Average(ours)
            average.load_state(state)
    for vector, tensor in zip(average.vectors, theirs.tensors, strict=True):
        np.testing.assert_allclose(vector, tensor.numpy(), rtol=1e-12, atol=1e-13)
    own = [vector.copy() for vector in ours.averaged()]
    with average.in_place():
        for vector, mean in zip(ours.averaged(), average.vectors, strict=True):
            np.testing.assert_array_equal(vector, mean)
    for vector, kept in zip(ours.averaged(), own, strict=True):
        np.testing.assert_array_equal(vector, kept)


def test_an_average_without_a_count_has_that_of_its_caller() -> None:
    ours = made()
    average = Average(ours)
    with average.in_place():  # before the first value: the network's own
        assert not average.is_kept
    state = average.state()
    average.load_state(state, without=5)
    assert average.count == 5
    with pytest.raises(WeightsError, match=r"average.1: received nothing, expected the shape \(17,\)"):
        average.load_state({"average.0": state["average.0"]})
