"""Standard normal numbers from a counter: equal for every batch size and order, and up to rounding for every engine.

Two words of 32 bits of each image, unit and epoch (`core/counter.py`) become one normal number (Box and Muller 1958).

Shape legend: N images, J values of an image.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.counter import hashed, words

UNIFORM_BITS = 24


def noise_words(seed: int, epoch: int, num_images: int, num_values: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Words of the N images, and of the 2 J numbers of an image: the first J for the radius, then for the angle."""
    images_N, units_J = words(seed, "noise", epoch, num_images, 2 * num_values)
    return images_N, units_J


def normal(image_word: np.int32, units_J: NDArray[np.int32]) -> NDArray[np.float64]:
    """The J normal numbers of one image."""
    bits = (hashed(np.array([image_word]), units_J)[0].astype(np.int64) & 0xFFFFFFFF) >> (32 - UNIFORM_BITS)
    radius, angle = np.split(bits, 2)
    # The radius uses (0, 1], so that the logarithm is finite.
    values: NDArray[np.float64] = np.sqrt(-2 * np.log((radius + 1) / 2**UNIFORM_BITS)) * np.cos(
        2 * np.pi * angle / 2**UNIFORM_BITS
    )
    return values
