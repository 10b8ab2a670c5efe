"""The losses written as formulas: against finite differences, torch's functions, and with faults put in."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnlab.engines.torch.targets import Criterion, Targets
from cnnlab.recipe.sections import Distill, Loss
from cnnlab.scratch.reference import losses
from gradient_checks import check_gradient, with_fault

GENERATOR = np.random.default_rng(3)
LOGITS, TEACHER = GENERATOR.normal(size=(2, 7, 4)) * 3
LABELS = np.arange(7) % 4
WEIGHTS = np.array([0.5, 1.0, 3.0, 0.2])
DISTILL = Distill(teacher="x", weight=0.3, temperature=2.5)
EVERY = list(product(("cross-entropy", "focal", "mse"), (0.0, 0.1), (None, WEIGHTS), (None, DISTILL)))


def settings_of(name, smoothing, distill):
    return Loss(name=name, label_smoothing=smoothing, gamma=1.5, distill=distill)


def check(module, name="cross-entropy", smoothing=0.0, weights=None, distill=None):
    """Loss and gradient of `module` against the torch engine's criterion, and the gradient against differences."""
    settings = settings_of(name, smoothing, distill)
    leaf = torch.from_numpy(LOGITS.copy()).requires_grad_()
    targets = Targets(torch.from_numpy(LABELS))
    criterion = Criterion(settings, None if weights is None else torch.from_numpy(weights))
    expected = criterion(leaf, targets, targets, torch.from_numpy(TEACHER))
    expected.backward()
    kept = LOGITS.copy()
    loss, gradient = module.recipe_loss(settings, LOGITS, LABELS, weights, TEACHER)
    np.testing.assert_array_equal(LOGITS, kept)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-10, atol=1e-14)
    check_differences(module, name, smoothing, weights, distill)


def check_differences(module, name="cross-entropy", smoothing=0.0, weights=None, distill=None):
    arguments = settings_of(name, smoothing, distill), LABELS, weights, TEACHER
    _, gradient = module.recipe_loss(arguments[0], LOGITS, *arguments[1:])
    check_gradient(lambda x: module.recipe_loss(arguments[0], x, *arguments[1:]).loss, LOGITS, gradient)


@pytest.mark.parametrize(("name", "smoothing", "weights", "distill"), EVERY)
def test_losses_are_those_of_torch_and_their_gradients_those_of_differences(name, smoothing, weights, distill):
    check(losses, name, smoothing, weights, distill)


def test_torchs_own_functions():
    logits, labels = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
    expected = F.cross_entropy(logits, labels, torch.from_numpy(WEIGHTS)).item()
    assert losses.cross_entropy(LOGITS, LABELS, class_weights_K=WEIGHTS).loss == pytest.approx(expected, rel=1e-12)
    smoothed = F.cross_entropy(logits, labels, label_smoothing=0.1).item()
    assert losses.cross_entropy(LOGITS, LABELS, 0.1).loss == pytest.approx(smoothed, rel=1e-12)
    squares = F.mse_loss(logits, F.one_hot(labels, 4).double()).item()
    assert losses.squared_error(LOGITS, LABELS).loss == pytest.approx(squares, rel=1e-12)


def test_one_image_by_hand():
    """p = (1/4, 3/4): the loss is log 4, the gradient p - one-hot."""
    loss, gradient = losses.cross_entropy(np.array([[0.0, np.log(3.0)]]), np.array([0]))
    assert loss == pytest.approx(np.log(4.0), rel=1e-12)
    np.testing.assert_allclose(gradient, [[-0.75, 0.75]], rtol=1e-12)


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 1e4, -1e4]])
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = losses.cross_entropy(logits, np.array([0, 2]))
    assert loss == pytest.approx(1e4)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0, 0.5, -0.5]], atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_learned_image_has_a_focal_gradient(gamma, smoothing):
    """A probability of 1 - 1e-13, rounded 1: torch's criterion stops the factor's slope below 1e-12."""
    for logit in (20.0, 32.0, 60.0):
        logits, settings = np.array([[logit, 0.0, 0.0]]), Loss(name="focal", gamma=gamma, label_smoothing=smoothing)
        leaf = torch.from_numpy(logits.copy()).requires_grad_()
        targets = Targets(torch.tensor([0]))
        expected = Criterion(settings)(leaf, targets, targets)
        expected.backward()
        loss, gradient = losses.recipe_loss(settings, logits, np.array([0]))
        assert loss == pytest.approx(expected.item(), rel=1e-9)
        np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-6, atol=1e-30)


# Faults that made real networks stand still, or worse, learn: only the gradient shows them.
GRADIENT_FAULTS = {
    "one-hot not subtracted": ("np.exp(log_p_BK) - aims_BK, labels_B", "np.exp(log_p_BK), labels_B"),
    "sum instead of mean": ("shares_B[:, None] * gradient_BK", "weights_B[:, None] * gradient_BK"),
    "sign flipped": ("np.exp(log_p_BK) - aims_BK, labels_B", "aims_BK - np.exp(log_p_BK), labels_B"),
    "double softmax": ("np.exp(log_p_BK) - aims_BK,", "np.exp(log_softmax(np.exp(log_p_BK))) - aims_BK,"),
}
# Here loss and gradient would agree with each other, and only another implementation shows the fault.
LOSS_FAULTS = {
    "softmax over the wrong axis": ("np.exp(shifted_BK).sum(axis=1", "np.exp(shifted_BK).sum(axis=0"),
    "sum instead of mean": ("weights_B / weights_B.sum()", "weights_B"),
    "sign flipped": ("each_B = -(aims_BK * log_p_BK)", "each_B = (aims_BK * log_p_BK)"),
    "double softmax": ("log_p_BK = log_softmax(logits_BK)\n    a", "log_p_BK = log_softmax(np.exp(logits_BK))\n    a"),
    "smoothing without the label": ("(1 - smoothing) * one_hot_BK +", "one_hot_BK +"),
}


@pytest.mark.parametrize("fault", GRADIENT_FAULTS.values(), ids=list(GRADIENT_FAULTS))
def test_differences_show_a_fault_of_the_gradient(fault):
    with pytest.raises(AssertionError, match="numerically"):
        check_differences(with_fault(losses, *fault))


@pytest.mark.parametrize("fault", LOSS_FAULTS.values(), ids=list(LOSS_FAULTS))
def test_torch_shows_a_fault_of_the_loss(fault):
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(with_fault(losses, *fault), smoothing=0.1)
