"""Cross-entropy and accuracy against torch."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cnnlab.engines.evaluation import accuracy, cross_entropy


@given(arrays(np.float32, (7, 4), elements=st.floats(-200, 200, width=32)), st.integers(0, 3))
def test_cross_entropy_is_torchs_in_float64(logits: np.ndarray, shift: int) -> None:
    labels = (np.arange(7) + shift) % 4
    expected = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    np.testing.assert_allclose(cross_entropy(logits, labels), float(expected), rtol=1e-12, atol=1e-12)


def test_accuracy_counts_the_largest_logit() -> None:
    logits = np.array([[1, 2], [3, 0], [0, 5], [2, 1]], np.float32)
    assert accuracy(logits, np.array([1, 0, 0, 1])) == 0.5
