"""Dropout masks from a counter: equal for every engine and batch size, and in resumed runs.

The mask of a layer depends on (seed, the layer's path, epoch, the image's position in its split, unit): a unit is kept
where the hash of the two words (`core/counter.py`), read as a signed number, is at least the threshold of p.

Shape legend: B images of a batch, J units of a layer (of a map: C x H x W, flattened).
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core import counter

RESOLUTION_BITS = 24
"""The number of bits of the hash that are compared: p is exact to 2**-24."""


def words(seed: int, path: str, epoch: int, num_images: int, num_units: int) -> tuple[NDArray[np.int32], ...]:
    """The words of the N images of a split, by position, and of the J units."""
    return counter.words(seed, f"dropout/{path}", epoch, num_images, num_units)


def threshold(p: float) -> int:
    """A unit is kept where its top bits have at least this value."""
    return round(p * (1 << RESOLUTION_BITS)) - (1 << (RESOLUTION_BITS - 1))


def keep_mask(images_B: NDArray[np.int32], units_J: NDArray[np.int32], p: float) -> NDArray[np.bool_]:
    """B x J: true where a unit is kept. Engines compute the same on their device."""
    kept: NDArray[np.bool_] = (counter.hashed(images_B, units_J) >> (32 - RESOLUTION_BITS)) >= threshold(p)
    return kept
