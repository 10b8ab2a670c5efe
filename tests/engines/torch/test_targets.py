"""Losses and hits against torch's cross-entropy of soft labels, formulas in float64."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnlab.arch import parse
from cnnlab.augment import EpochDraws
from cnnlab.augment.reference import augmented
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.engines.torch.network import build
from cnnlab.engines.torch.resident import ResidentSplit
from cnnlab.engines.torch.targets import Criterion, Targets
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import Distill, Loss

LOGITS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
LABELS, PARTNERS = torch.arange(9) % 4, torch.arange(9) % 3
WEIGHTS = torch.linspace(0, 1, 9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_images_is_torchs_for_soft_labels(smoothing: float) -> None:
    soft = WEIGHTS[:, None] * F.one_hot(LABELS, 4) + (1 - WEIGHTS[:, None]) * F.one_hot(PARTNERS, 4)
    expected = F.cross_entropy(LOGITS.double(), soft.double(), label_smoothing=smoothing)
    targets = Targets(LABELS, PARTNERS, WEIGHTS)
    got = Criterion(Loss(label_smoothing=smoothing))(LOGITS, targets, targets)
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_plain_images_is_the_formula(smoothing: float) -> None:
    logits = LOGITS.double().numpy()
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = log_softmax[np.arange(9), LABELS]
    expected = -((1 - smoothing) * own + smoothing * log_softmax.mean(axis=1)).mean()
    targets = Targets(LABELS)
    got = Criterion(Loss(label_smoothing=smoothing))(LOGITS, targets, targets)
    assert float(got) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", ["cross-entropy", "focal", "mse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_parts_of_a_batch_add_up_to_the_whole(name: Any, mixed: bool, weighted: bool) -> None:
    weights = torch.tensor([0.5, 1.0, 3.0, 2.0]) if weighted else None
    criterion = Criterion(Loss(name=name, distill=Distill(teacher="x", weight=0.3)), weights)
    whole = Targets(LABELS, PARTNERS, WEIGHTS) if mixed else Targets(LABELS)
    teacher = LOGITS.flip(0)
    parts = [criterion(LOGITS[a:b], whole.part(a, b), whole, teacher[a:b]) for a, b in ((0, 4), (4, 8), (8, 9))]
    torch.testing.assert_close(sum(parts), criterion(LOGITS, whole, whole, teacher))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_of_images_that_are_learned_has_a_gradient(gamma: float) -> None:
    """In float32 the likelihood of the first image is 1; of the others it is 1 - 1e-6 and 1/3."""
    logits = torch.tensor([[30.0, 0, 0], [14.5, 0, 0], [0, 0, 0]], requires_grad=True)
    targets = Targets(torch.zeros(3, dtype=torch.int64))
    loss = Criterion(Loss(name="focal", gamma=gamma))(logits, targets, targets)
    torch.autograd.backward(loss)
    doubles = logits.detach().double().requires_grad_()
    p = torch.softmax(doubles, 1)[:, 0]
    torch.autograd.backward((-((1 - p + 1e-30) ** gamma) * torch.log(p)).mean())
    torch.testing.assert_close(logits.grad.double(), doubles.grad, rtol=1e-3, atol=1e-7)


def test_class_weights_are_torchs() -> None:
    weights = torch.tensor([0.5, 1.0, 3.0, 2.0])
    targets = Targets(LABELS)
    got = Criterion(Loss(class_weights=tuple(weights.tolist())), weights)(LOGITS, targets, targets)
    torch.testing.assert_close(got, F.cross_entropy(LOGITS, LABELS, weights))


def test_mixed_images_have_the_class_weights_of_both_labels() -> None:
    weights = torch.tensor([0.5, 1.0, 3.0, 2.0])
    targets = Targets(LABELS, PARTNERS, WEIGHTS)
    own, other = (F.cross_entropy(LOGITS, labels, reduction="none") for labels in (LABELS, PARTNERS))
    losses = WEIGHTS * weights[LABELS] * own + (1 - WEIGHTS) * weights[PARTNERS] * other
    mass = WEIGHTS * weights[LABELS] + (1 - WEIGHTS) * weights[PARTNERS]
    got = Criterion(Loss(), weights)(LOGITS, targets, targets)
    torch.testing.assert_close(got, losses.sum() / mass.sum())


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 4.0), (0.3, 1.0), (1.0, 2.5)])
def test_distillation_is_hintons(weight: float, temperature: float) -> None:
    """Hinton et al. 2015, section 2: soft targets at temperature T, times T squared, here as a divergence."""
    teacher = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    z, v = LOGITS.double().numpy() / temperature, teacher.double().numpy() / temperature
    p, q = (np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in (v, z))
    divergence = (p * (np.log(p) - np.log(q))).sum(1).mean()
    hard = float(F.cross_entropy(LOGITS, LABELS))
    targets = Targets(LABELS)
    loss = Loss(distill=Distill(teacher="x", temperature=temperature, weight=weight))
    got = Criterion(loss)(LOGITS, targets, targets, teacher)
    assert float(got) == pytest.approx((1 - weight) * hard + weight * temperature**2 * divergence, rel=1e-5)


def test_a_hit_is_the_label_with_the_larger_share() -> None:
    largest = torch.tensor([[5.0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 5]])
    labels, partners = torch.tensor([0, 0, 0, 1, 0]), torch.tensor([1, 1, 1, 0, 1])
    weights = torch.tensor([0.9, 0.1, 0.2, 0.5, 0.4])
    # Hit, miss (the partner weighs more), hit by the partner, hit (a tie is the image's own), miss.
    assert int(Targets(labels, partners, weights).hits(largest)) == 3
    assert int(Targets(labels).hits(largest)) == 3  # images 0, 1 and 3


def test_a_part_has_its_own_rows() -> None:
    part = Targets(LABELS, PARTNERS, WEIGHTS).part(2, 5)
    assert [one.tolist() for one in part] == [one[2:5].tolist() for one in (LABELS, PARTNERS, WEIGHTS)]
    assert Targets(LABELS).part(2, 5)[1:] == (None, None)


def test_training_on_mixed_images_counts_both_labels() -> None:
    """The engine's totals of a first step against float64, from its initial weights and the oracle's pixels."""
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    split = Split(images, np.arange(10) % 3)
    recipe = Recipe.named("simplenn", arch={"name": None, "layers": "flatten | linear 3"}, train={"batch_size": 6})
    model = build(parse("flatten | linear 3"), (3, 4, 4))
    resident = ResidentSplit(split, torch.device("cpu"))
    half = Normalisation((0.5,) * 3, (0.5,) * 3)
    engine = TorchEngine(recipe, parse("flatten | linear 3"), model, {"train": resident}, half)
    weights_N, no_boxes = np.linspace(0, 1, 10, dtype=np.float32), np.zeros((10, 4), np.int32)
    draws = EpochDraws(partner_N=np.roll(np.arange(10), 3), weight_N=weights_N, swaps_N4=no_boxes)
    order = np.random.default_rng(1).permutation(10)
    engine.start_epoch(0)
    resident.arrange(order, draws)
    pixels = np.stack([augmented(images, draws, n, np.full(3, 127.5)) for n in order[:6]])
    inputs = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / 127.5 - 1)
    with torch.no_grad():
        logits = deepcopy(model).double()(inputs)
    labels, partners = (torch.from_numpy(split.labels[n]) for n in (order[:6], draws.partner_N[order[:6]]))
    weights = torch.from_numpy(draws.weight_N[order[:6]]).double()[:, None]
    soft = weights * F.one_hot(labels, 3) + (1 - weights) * F.one_hot(partners, 3)
    engine.train_step(0, 0.1)
    totals = engine.totals()
    assert totals.loss == pytest.approx(6 * float(F.cross_entropy(logits, soft)), rel=1e-5)
    assert (totals.correct, totals.images) == (int((logits.argmax(1) == soft.argmax(1)).sum()), 6)
