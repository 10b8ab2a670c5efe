"""Loss and accuracy from logits, in float64 NumPy: one definition for every engine.

Shape legend: N images, K classes.
"""

import numpy as np
from numpy.typing import NDArray


def cross_entropy(logits_NK: NDArray[np.float32], labels_N: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the labels under softmax(logits), without label smoothing.

    Not finite where a logit is not.
    """
    z = logits_NK.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity minus infinity: the caller reports it
        z -= z.max(axis=1, keepdims=True)
        log_partition_N = np.log(np.exp(z).sum(axis=1))
        return float((log_partition_N - z[np.arange(len(z)), labels_N]).mean())


def accuracy(logits_NK: NDArray[np.float32], labels_N: NDArray[np.int64]) -> float:
    """Share of images whose largest logit is that of their label, 0..1."""
    return float((logits_NK.argmax(axis=1) == labels_N).mean())
