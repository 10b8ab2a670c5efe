"""The images of each training step: equal for every engine, and in resumed runs."""

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.seeding import derive_generator


def epoch_order(seed: int, epoch: int, num_images: int) -> NDArray[np.int64]:
    """The positions in the split, in the order of `epoch` (from 0)."""
    return derive_generator(seed, "order", epoch).permutation(num_images)


def step_bounds(step_in_epoch: int, batch_size: int, num_images: int) -> tuple[int, int]:
    """Start and stop, in the epoch's order, of the images of one step (from 0)."""
    start = step_in_epoch * batch_size
    return start, min(start + batch_size, num_images)
