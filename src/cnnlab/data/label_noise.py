"""Wrong labels on purpose, to see how a training copes with them."""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.seeding import derive_generator


def with_wrong_labels(labels_N: NDArray[np.int64], share: float, num_classes: int, seed: int) -> NDArray[np.int64]:
    """A copy in which `share` of the labels, to the nearest image, are another class, all others equally likely.

    `num_classes` is 2 or more.
    """
    generator = derive_generator(seed, "label-noise")
    wrong = generator.permutation(len(labels_N))[: round(share * len(labels_N))]
    labels_N = labels_N.copy()
    labels_N[wrong] = (labels_N[wrong] + generator.integers(1, num_classes, len(wrong))) % num_classes
    return labels_N
