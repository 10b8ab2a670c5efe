"""Cutout: a square at a random position of each image is removed.

Source: DeVries & Taylor, "Improved regularization of convolutional neural networks with Cutout" (2017), and their code
(github.com/uoguelph-mlrg/Cutout). As there, the centre is any pixel, so a square may extend beyond the border, and
the square is 0 after normalisation: the channel's mean, not black. Unlike there, an odd size stays odd.
Their sizes: 16 for CIFAR-10, 8 for CIFAR-100, 20 for SVHN.
"""

import numpy as np
from numpy.typing import NDArray


def cutout_boxes(
    generator: np.random.Generator, num_images: int, size: int, height: int, width: int
) -> NDArray[np.int32]:
    """Top, left, bottom, right of each image's square, cut at the border, N x 4."""
    limits = np.array([height, width])
    first_N2 = generator.integers(0, limits, size=(num_images, 2)) - size // 2
    return np.hstack([first_N2.clip(0), (first_N2 + size).clip(max=limits)]).astype(np.int32)
