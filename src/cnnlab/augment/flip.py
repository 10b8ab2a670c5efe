"""Random horizontal flip with probability p. Not for digits or text: it changes their class."""

import numpy as np
from numpy.typing import NDArray


def flip_choices(generator: np.random.Generator, num_images: int, p: float) -> NDArray[np.bool_]:
    """Which images are mirrored."""
    return generator.random(num_images) < p


def flip_positions(columns_NW: NDArray[np.int32], chosen_N: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The column positions, reversed for the chosen images."""
    return np.where(chosen_N[:, None], columns_NW[:, ::-1], columns_NW)
