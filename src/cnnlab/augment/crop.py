"""Random crop after padding, the standard CIFAR augmentation.

Source: Lee et al., "Deeply-supervised nets" (2015), as used in He et al. 2016, section 4.2: pad 4 pixels on each
side, crop the original size at a random position. Padding is black (0 before normalisation) or a reflection.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def crop_offsets(generator: np.random.Generator, num_images: int, padding: int) -> NDArray[np.int32]:
    """Vertical and horizontal shift of each image, N x 2, uniform on -padding .. padding."""
    return generator.integers(-padding, padding, size=(num_images, 2), dtype=np.int32, endpoint=True)


def cropped_positions(offsets_N: NDArray[np.int32], size: int, mode: Literal["zero", "reflect"]) -> NDArray[np.int32]:
    """Input position of each of `size` output positions, N x size; -1 for black padding."""
    positions = np.add(offsets_N[:, None], np.arange(size), dtype=np.int32)
    if mode == "reflect":
        return reflected(positions, size)
    positions[(positions < 0) | (positions >= size)] = -1
    return positions


def reflected(positions: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Positions outside 0 .. size-1 mirrored at the border pixels, as often as needed (NumPy's pad mode "reflect")."""
    if size == 1:
        return np.zeros_like(positions)
    period = np.int32(2 * (size - 1))
    positions = np.abs(positions) % period
    mirrored: NDArray[np.int32] = np.minimum(positions, period - positions)
    return mirrored
