"""Losses, gradients and hits of NumPy against torch's functions with autograd, in float64, and finite differences."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
from cnnlab.engines.torch import targets as twin
from cnnlab.recipe.sections import Distill, Loss
from cnnlab.scratch.losses import Criterion, Share, Targets

RNG = np.random.default_rng(0)
LOGITS, TEACHER = RNG.standard_normal((2, 9, 4)) * 3
LABELS, PARTNERS = np.arange(9) % 4, np.arange(9) % 3
PLAIN, MIXED = Targets(LABELS), Targets(LABELS, PARTNERS, np.linspace(0, 1, 9))
WEIGHTS = np.array([0.5, 1.0, 3.0, 0.0])
NAMES = ("cross-entropy", "focal", "mse")
DISTILL = Distill(teacher="x", weight=0.3, temperature=2.5)


def tensors(targets: Targets) -> twin.Targets:
    return twin.Targets(*(None if array is None else torch.from_numpy(array) for array in targets))


def with_torch(loss: Loss, logits: np.ndarray, targets: Targets, weights: Any, teacher: Any) -> tuple[float, Any]:
    """Loss and gradient of the torch engine's criterion in float64."""
    leaf = torch.from_numpy(logits).requires_grad_()
    criterion = twin.Criterion(loss, None if weights is None else torch.from_numpy(weights))
    whole = tensors(targets)
    value = criterion(leaf, whole, whole, None if teacher is None else torch.from_numpy(teacher))
    (gradient,) = torch.autograd.grad(value, [leaf])
    return float(value.detach()), gradient.numpy()


EVERY = list(product(NAMES, (0.0, 0.1), (PLAIN, MIXED), (None, WEIGHTS), (None, DISTILL)))


@pytest.mark.parametrize(("name", "smoothing", "targets", "weights", "distill"), EVERY)
def test_loss_gradient_and_hits_are_the_torch_engines(
    name: Any, smoothing: float, targets: Targets, weights: Any, distill: Any
) -> None:
    loss = Loss(name=name, label_smoothing=smoothing, gamma=1.5, distill=distill)
    teacher = None if distill is None else TEACHER
    expected, gradient = with_torch(loss, LOGITS.copy(), targets, weights, teacher)
    kept = LOGITS.copy()
    got = Criterion(loss, weights)(LOGITS, targets, None, teacher)
    np.testing.assert_allclose(got.loss, expected, rtol=1e-12)
    np.testing.assert_allclose(got.gradient_BK, gradient, rtol=1e-10, atol=1e-13)
    assert int(got.hits) == int(tensors(targets).hits(torch.from_numpy(LOGITS)))
    np.testing.assert_array_equal(LOGITS, kept)


@pytest.mark.parametrize(("name", "smoothing", "targets", "weights", "distill"), EVERY[::3])
def test_the_gradient_is_that_of_finite_differences(
    name: Any, smoothing: float, targets: Targets, weights: Any, distill: Any
) -> None:
    loss = Loss(name=name, label_smoothing=smoothing, distill=distill)
    criterion = Criterion(loss, weights)
    got = criterion(LOGITS, targets, None, TEACHER).gradient_BK
    for row, column in np.ndindex(LOGITS.shape):
        step = np.zeros_like(LOGITS)
        step[row, column] = 1e-5
        up, down = (criterion(LOGITS + sign * step, targets, None, TEACHER).loss for sign in (1, -1))
        assert got[row, column] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "smoothing"), list(product(NAMES, (0.0, 0.1))))
def test_the_loss_is_the_formula(name: Any, smoothing: float) -> None:
    settings = {"name": name, "label_smoothing": smoothing, "gamma": 2.0}
    expected = float(reference.losses_of(torch.from_numpy(LOGITS), LABELS, settings).mean())
    assert float(Criterion(Loss(**settings))(LOGITS, PLAIN).loss) == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_is_torchs_function() -> None:
    logits, labels = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
    weighted = F.cross_entropy(logits, labels, torch.from_numpy(WEIGHTS))
    assert float(Criterion(Loss(), WEIGHTS)(LOGITS, PLAIN).loss) == pytest.approx(float(weighted), rel=1e-12)
    shares = torch.from_numpy(MIXED.weights)[:, None]
    soft = shares * F.one_hot(labels, 4) + (1 - shares) * F.one_hot(torch.from_numpy(PARTNERS), 4)
    mixed = F.cross_entropy(logits, soft, label_smoothing=0.1)
    assert float(Criterion(Loss(label_smoothing=0.1))(LOGITS, MIXED).loss) == pytest.approx(float(mixed), rel=1e-12)


@pytest.mark.parametrize(("name", "targets", "weights"), list(product(NAMES, (PLAIN, MIXED), (None, WEIGHTS))))
def test_the_parts_of_a_batch_add_up_to_the_whole(name: Any, targets: Targets, weights: Any) -> None:
    criterion = Criterion(Loss(name=name, distill=DISTILL), weights)
    whole, total = criterion(LOGITS, targets, None, TEACHER), criterion.total(targets)
    bounds = ((0, 4), (4, 8), (8, 9), (9, 9))
    parts = [criterion(LOGITS[a:b], targets.part(a, b), total, TEACHER[a:b]) for a, b in bounds]
    np.testing.assert_allclose(sum(part.loss for part in parts), whole.loss, rtol=1e-13)
    np.testing.assert_allclose(np.concatenate([part.gradient_BK for part in parts]), whole.gradient_BK, atol=1e-15)
    assert sum(part.hits for part in parts) == whole.hits


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name: Any) -> None:
    logits, teacher = LOGITS.astype(np.float32), TEACHER.astype(np.float32)
    mixed = Targets(LABELS, PARTNERS, np.linspace(0, 1, 9))
    loss = Loss(name=name, label_smoothing=0.1, distill=DISTILL)
    got = Criterion(loss, WEIGHTS)(logits, mixed, None, teacher)
    assert got.gradient_BK.dtype == np.float32
    expected, gradient = with_torch(loss, logits.astype(np.float64), mixed, WEIGHTS, teacher.astype(np.float64))
    assert float(got.loss) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(got.gradient_BK, gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_of_images_that_are_learned_has_a_gradient(gamma: float) -> None:
    """In float32 the likelihood of the first image is 1; of the others it is 1 - 1e-6 and 1/3."""
    logits = np.array([[30.0, 0, 0], [14.5, 0, 0], [0, 0, 0]], np.float32)
    got = Criterion(Loss(name="focal", gamma=gamma))(logits, Targets(np.zeros(3, np.int64)))
    doubles = torch.from_numpy(logits).double().requires_grad_()
    p = torch.softmax(doubles, 1)[:, 0]
    torch.autograd.backward((-((1 - p + 1e-30) ** gamma) * torch.log(p)).mean())
    np.testing.assert_allclose(got.gradient_BK, doubles.grad.numpy(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_at_its_smallest_miss_is_the_torch_engines(gamma: float) -> None:
    """With smoothing the loss of a learned image is not 0: a slope there would be larger than its true gradient."""
    loss, logits = Loss(name="focal", gamma=gamma, label_smoothing=0.1), np.array([[30, 0, 0]], np.float32)
    expected, gradient = with_torch(loss, logits.copy(), Targets(np.array([0])), None, None)
    got = Criterion(loss)(logits, Targets(np.array([0])))
    assert float(got.loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(got.gradient_BK, gradient, rtol=1e-4)


@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
def test_large_logits_do_not_overflow(name: Any) -> None:
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0]], np.float32)
    loss = Loss(name=name, distill=DISTILL)
    got = Criterion(loss)(logits, Targets(np.array([0, 1])), None, logits[:, ::-1])
    doubles = logits.astype(np.float64)
    expected, gradient = with_torch(loss, doubles, Targets(np.array([0, 1])), None, doubles[:, ::-1].copy())
    assert float(got.loss) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(got.gradient_BK, gradient, rtol=1e-6, atol=1e-7)


def test_one_image() -> None:
    got = Criterion(Loss())(np.array([[0.0, np.log(3.0)]]), Targets(np.array([0])))
    assert float(got.loss) == pytest.approx(np.log(4.0))
    np.testing.assert_allclose(got.gradient_BK, [[-0.75, 0.75]], rtol=1e-12)
    assert int(got.hits) == 0


@pytest.mark.parametrize(("name", "distill"), list(product(NAMES, (None, DISTILL))))
def test_nan_reaches_the_loss_and_only_its_image(name: Any, distill: Any) -> None:
    logits = LOGITS.copy()
    logits[2, 1] = np.nan
    got: Share = Criterion(Loss(name=name, distill=distill))(logits, PLAIN, None, TEACHER)
    assert np.isnan(got.loss)
    assert np.isnan(got.gradient_BK).any(axis=1).tolist() == [row == 2 for row in range(9)]


def test_infinite_logits_are_a_bad_loss_without_a_warning() -> None:
    assert not np.isfinite(Criterion(Loss())(np.array([[np.inf, np.inf], [0, 1]]), Targets(np.array([0, 1]))).loss)


def test_a_batch_without_weight_has_no_mean() -> None:
    images = Targets(np.array([3, 3]))
    assert torch.isnan(F.cross_entropy(torch.zeros(2, 4), torch.tensor([3, 3]), torch.tensor([0.5, 1, 3, 0])))
    assert np.isnan(Criterion(Loss(), WEIGHTS)(LOGITS[:2], images).loss)


def test_of_equal_logits_the_first_is_the_answer() -> None:
    logits = np.zeros((3, 4), np.float32)
    logits[2, 1:3] = 1
    assert int(Criterion(Loss())(logits, Targets(np.array([0, 1, 1]))).hits) == 2  # images 0 and 2


def test_a_hit_is_the_label_with_the_larger_share() -> None:
    logits = np.array([[5.0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5]])
    labels, partners = np.array([0, 0, 0, 1, 0]), np.array([1, 1, 1, 0, 1])
    mixed = Targets(labels, partners, np.array([0.9, 0.1, 0.2, 0.5, 0.4]))
    # Hit, miss (the partner weighs more), hit by the partner, hit (a tie is the image's own), miss.
    assert int(Criterion(Loss())(logits, mixed).hits) == 3
