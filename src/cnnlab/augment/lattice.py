"""Which input pixel each output pixel shows: crop and flip as composed row and column maps.

Shape legend: N images, H rows and W columns of the output (the size of the input too).
A map entry is the input row (column), or OUTSIDE where the padding shows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.crop import crop_offsets, cropped_positions
from cnnlab.augment.flip import flip_choices, flip_positions
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.sections import Augment

OUTSIDE = -1


@dataclass(frozen=True)
class PixelMap:
    """For each of N images, the input row of every output row and the input column of every output column."""

    rows_NH: NDArray[np.int32]
    columns_NW: NDArray[np.int32]


def draw_epoch(augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int) -> PixelMap:
    """Draw one epoch's crop and flip for every image of a split.

    Draws belong to the image's position in its split, not to its place in the epoch: they are the same for
    every batch size, order and resume point.
    """
    rows = np.broadcast_to(np.arange(height, dtype=np.int32), (num_images, height))
    columns = np.broadcast_to(np.arange(width, dtype=np.int32), (num_images, width))
    if augment.crop is not None:
        offsets_N2 = crop_offsets(derive_generator(seed, "crop", epoch), num_images, augment.crop.padding)
        rows = cropped_positions(offsets_N2[:, 0], height, augment.crop.mode)
        columns = cropped_positions(offsets_N2[:, 1], width, augment.crop.mode)
    if augment.flip is not None:
        chosen_N = flip_choices(derive_generator(seed, "flip", epoch), num_images, augment.flip.p)
        columns = flip_positions(columns, chosen_N)
    return PixelMap(np.ascontiguousarray(rows), np.ascontiguousarray(columns))


def moved(images_NHWC: NDArray[np.uint8], drawn: PixelMap) -> NDArray[np.uint8]:
    """The images as their maps show them, uint8 N x H x W x C; black where the padding shows."""
    each_N11 = np.arange(len(images_NHWC))[:, None, None]
    picked = images_NHWC[each_N11, drawn.rows_NH[:, :, None], drawn.columns_NW[:, None, :]]
    outside_NHW = (drawn.rows_NH == OUTSIDE)[:, :, None] | (drawn.columns_NW == OUTSIDE)[:, None, :]
    return np.where(outside_NHW[..., None], np.uint8(0), picked)
