"""Dropout masks from a counter: equal for every engine and batch size, and in resumed runs.

The mask of a layer depends on (seed, the layer's path, epoch, the image's position in its split, unit). Each image and
each unit of an epoch has a word of 32 bits; a unit is kept where a hash of the two words, read as a signed number, is
at least the threshold of p. The hash uses exclusive or, multiplication and shift on 32-bit integers, which every
framework has, with the constants of Wellons' lowbias32 (https://nullprogram.com/blog/2018/07/31/).

Shape legend: N images of a split, B of a batch, J units of a layer (of a map: C x H x W, flattened).
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.seeding import derive_key

MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)
"""As signed 32-bit numbers."""
SHIFT = 15
SHIFT_MASK = 2 ** (32 - SHIFT) - 1
RESOLUTION_BITS = 24
"""The number of bits of the hash that are compared: p is exact to 2**-24."""


def words(seed: int, path: str, epoch: int, num_images: int, num_units: int) -> tuple[NDArray[np.int32], ...]:
    """The words of the N images of a split, by position, and of the J units."""
    key = derive_key(seed, f"dropout/{path}", epoch)
    image_key, unit_key = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32 & 0xFFFFFFFF)
    numbered = ((num_images, image_key), (num_units, unit_key))
    return tuple(_mixed(np.arange(number, dtype=np.uint32) ^ one) for number, one in numbered)


def threshold(p: float) -> int:
    """A unit is kept where its top bits have at least this value."""
    return round(p * (1 << RESOLUTION_BITS)) - (1 << (RESOLUTION_BITS - 1))


def keep_mask(images_B: NDArray[np.int32], units_J: NDArray[np.int32], p: float) -> NDArray[np.bool_]:
    """B x J: true where a unit is kept. Engines compute the same on their device."""
    x = images_B[:, None] ^ units_J
    with np.errstate(over="ignore"):
        x *= np.int32(MULTIPLIERS[0])
        x ^= (x >> SHIFT) & np.int32(SHIFT_MASK)
        x *= np.int32(MULTIPLIERS[1])
    kept: NDArray[np.bool_] = (x >> (32 - RESOLUTION_BITS)) >= threshold(p)
    return kept


def _mixed(x: NDArray[np.uint32]) -> NDArray[np.int32]:
    """lowbias32: a permutation of the 32-bit numbers in which every bit depends on every bit."""
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x.view(np.int32)
