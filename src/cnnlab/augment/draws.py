"""Random parameters of one epoch for every image of a split, without pixels.

An engine applies them to an image in this order:

1. geometry: `rows_NH` and `columns_NW` (crop, then flip), then `matrices_N23` (rotation). Outside is black;
2. colour, on pixels 0..255: `tables_NCV`, then `colours_NCD`, whose result is clamped to 0..255;
3. normalisation, done by the engine;
4. `boxes_N4` (cutout) become 0, which is the mean where images are normalised by the mean;
5. mixing: `weight_N` times the image plus the rest times its partner, after the partner's own steps 1 to 4. The loss is
   mixed in the same way from both labels; a hit is the label with the larger weight, the image's own if equal.

Draws depend on an image's position in its split, not in the epoch: they are equal for every batch size, order and
resume point. None switches a step off, without cost.

Shape legend: N images, H x W pixels of output and input, C channels, V = 256 pixel values, D = C + 1.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.crop import crop_offsets, cropped_positions
from cnnlab.augment.cutout import cutout_boxes
from cnnlab.augment.flip import flip_choices, flip_positions
from cnnlab.augment.rotate import rotation_angles, rotation_matrices
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.sections import Augment

OUTSIDE = -1


@dataclass(frozen=True)
class EpochDraws:
    """What happens to each image of a split in one epoch, in the order above.

    `rows_NH`, `columns_NW`: the input row of every output row, the input column of every output column, or OUTSIDE.
    `matrices_N23`: from output position to position in the image after crop and flip, with Pillow's coordinates: the
    centre of the first pixel is (0.5, 0.5), x comes before y. `bilinear`: interpolate the four nearest pixels.
    `tables_NCV`: the new value of each pixel value. `colours_NCD`: new channels from old; the last column is added.
    `boxes_N4`: top, left, bottom, right; the last two are the first row and column after the box.
    `partner_N`: position in the split of the image that is mixed in; `weight_N`: weight of the image itself, 0..1.
    """

    rows_NH: NDArray[np.int32] | None = None
    columns_NW: NDArray[np.int32] | None = None
    matrices_N23: NDArray[np.float64] | None = None
    bilinear: bool = False
    tables_NCV: NDArray[np.uint8] | None = None
    colours_NCD: NDArray[np.float32] | None = None
    boxes_N4: NDArray[np.int32] | None = None
    partner_N: NDArray[np.int64] | None = None
    weight_N: NDArray[np.float32] | None = None

    def at(self, positions: NDArray[np.int64]) -> "EpochDraws":
        """The draws for the images at these positions of the split."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "bilinear"}
        taken = {name: None if array is None else array[positions] for name, array in arrays.items()}
        return EpochDraws(bilinear=self.bilinear, **taken)


def draw_epoch(augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int) -> EpochDraws:
    """Draw all parameters for `augment` in `epoch` (from 0), each method from its own generator."""
    rows = columns = matrices = boxes = None
    if crop := augment.crop:
        offsets_N2 = crop_offsets(derive_generator(seed, "crop", epoch), num_images, crop.padding)
        rows = cropped_positions(offsets_N2[:, 0], height, crop.mode)
        columns = cropped_positions(offsets_N2[:, 1], width, crop.mode)
    if flip := augment.flip:
        chosen_N = flip_choices(derive_generator(seed, "flip", epoch), num_images, flip.p)
        unmoved = np.arange(width, dtype=np.int32)[None]
        columns = flip_positions(unmoved if columns is None else columns, chosen_N)
    if rotate := augment.rotate:
        angles_N = rotation_angles(derive_generator(seed, "rotate", epoch), num_images, rotate.degrees)
        matrices = rotation_matrices(angles_N, height, width)
    if cutout := augment.cutout:
        boxes = cutout_boxes(derive_generator(seed, "cutout", epoch), num_images, cutout.size, height, width)
    bilinear = rotate is not None and rotate.interpolation == "bilinear"
    return EpochDraws(rows, columns, matrices, bilinear, boxes_N4=boxes)
