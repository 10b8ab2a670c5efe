"""Random bits from a counter, cheap enough for every value of every image: a hash of two words of 32 bits.

Each image and each unit of an epoch has a word; their hash is the random number. It uses exclusive or, multiplication
and shift on 32-bit integers, which every framework has, with the constants of Wellons' lowbias32
(https://nullprogram.com/blog/2018/07/31/).

Shape legend: N images of a split, B of a batch, J units.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.seeding import derive_key

MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)
"""As signed 32-bit numbers."""
SHIFT = 15
SHIFT_MASK = 2 ** (32 - SHIFT) - 1


def words(seed: int, purpose: str, epoch: int, num_images: int, num_units: int) -> tuple[NDArray[np.int32], ...]:
    """The words of the N images of a split, by position, and of the J units."""
    key = derive_key(seed, purpose, epoch)
    image_key, unit_key = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32 & 0xFFFFFFFF)
    numbered = ((num_images, image_key), (num_units, unit_key))
    return tuple(_mixed(np.arange(number, dtype=np.uint32) ^ one) for number, one in numbered)


def hashed(images_B: NDArray[np.int32], units_J: NDArray[np.int32]) -> NDArray[np.int32]:
    """B x J signed numbers of which the upper bits are the most random. Engines compute the same on their device."""
    x = images_B[:, None] ^ units_J
    with np.errstate(over="ignore"):
        x *= np.int32(MULTIPLIERS[0])
        x ^= (x >> SHIFT) & np.int32(SHIFT_MASK)
        x *= np.int32(MULTIPLIERS[1])
    return x


def _mixed(x: NDArray[np.uint32]) -> NDArray[np.int32]:
    """lowbias32: a permutation of the 32-bit numbers in which every bit depends on every bit."""
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x.view(np.int32)
