"""What augmentation does to a few images, for a person to look at. NumPy only: no training, no torch."""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.lattice import draw_epoch, moved
from cnnlab.recipe.sections import Augment


def preview_batch(
    images_NHWC: NDArray[np.uint8], augment: Augment, seed: int = 1, epoch: int = 0
) -> NDArray[np.uint8]:
    """The images as a training epoch would see them, uint8 N x H x W x C, before normalisation."""
    num_images, height, width, _ = images_NHWC.shape
    return moved(images_NHWC, draw_epoch(augment, seed, epoch, num_images, height, width))
