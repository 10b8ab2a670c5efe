"""Loss and hits of mixed images against torch's cross-entropy of soft labels, and against a formula in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnlab.engines.torch.targets import Targets

LOGITS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
LABELS, PARTNERS = torch.arange(9) % 4, torch.arange(9) % 3
WEIGHTS = torch.linspace(0, 1, 9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_images_is_torchs_for_soft_labels(smoothing: float) -> None:
    soft = WEIGHTS[:, None] * F.one_hot(LABELS, 4) + (1 - WEIGHTS[:, None]) * F.one_hot(PARTNERS, 4)
    expected = F.cross_entropy(LOGITS.double(), soft.double(), label_smoothing=smoothing)
    got = Targets(LABELS, PARTNERS, WEIGHTS).loss(LOGITS, smoothing)
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_plain_images_is_the_formula(smoothing: float) -> None:
    logits = LOGITS.double().numpy()
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = log_softmax[np.arange(9), LABELS]
    expected = -((1 - smoothing) * own + smoothing * log_softmax.mean(axis=1)).mean()
    assert float(Targets(LABELS).loss(LOGITS, smoothing)) == pytest.approx(expected, rel=1e-6)


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
