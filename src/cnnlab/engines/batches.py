"""The images of each training step, equal for every engine and in resumed runs; and how many are scored together."""

import math

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape
from cnnlab.core.seeding import derive_generator

EVALUATION_BATCH = 500  # large enough for two busy cores, small enough for their caches
_LARGEST_ACTIVATION = 2**25  # numbers, 128 MiB in float32: of networks with large layers, fewer images at a time


def epoch_order(seed: int, epoch: int, num_images: int) -> NDArray[np.int64]:
    """The positions in the split, in the order of `epoch` (from 0)."""
    return derive_generator(seed, "order", epoch).permutation(num_images)


def step_bounds(step_in_epoch: int, batch_size: int, num_images: int) -> tuple[int, int]:
    """Start and stop, in the epoch's order, of the images of one step (from 0)."""
    start = step_in_epoch * batch_size
    return start, min(start + batch_size, num_images)


def evaluation_batch(architecture: Architecture, image_shape: Shape) -> int:
    """The number of images that are scored together."""
    largest = max(math.prod(row.output_shape) for row in architecture.trace(image_shape).rows)
    return max(1, min(EVALUATION_BATCH, _LARGEST_ACTIVATION // largest))
