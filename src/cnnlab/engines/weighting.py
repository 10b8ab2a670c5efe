"""Numbers that every engine derives from a recipe in the same way."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.recipe.sections import Loss


def class_weights(loss: Loss, labels_N: NDArray[np.int64], num_classes: int) -> Sequence[float] | None:
    """The factor of each class, from the recipe or by its number of training images; None where all are equal."""
    if loss.class_weights != "balanced":
        return loss.class_weights
    counts_K = np.bincount(labels_N, minlength=num_classes)
    weights: list[float] = (len(labels_N) / (num_classes * np.maximum(counts_K, 1))).tolist()
    return weights


def ema_decay(decay: float, updates: int) -> float:
    """The part of the average that is kept: small at first, so that it forgets the initial weights (as in Adam)."""
    return min(decay, (1 + updates) / (10 + updates))
