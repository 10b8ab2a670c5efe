"""Random parameters of one epoch for every image of a split, without pixels.

An engine applies them to an image in this order:

1. geometry: `rows_NH` and `columns_NW` (crop, then flip), then `matrices_NG23` (rotation, affine). Outside is black;
2. operations, on whole numbers 0..255: those of `codes_NK` and `values_NK`, slot after slot (`operations.py`);
3. normalisation, done by the engine;
4. `boxes_NQ4` (erasing, cutout) become 0, which is the mean where images are normalised by the mean;
5. mixing: the rectangle `swaps_N4` of the partner, or where it is empty, `weight_N` times the image plus the rest times
   the partner; after the partner's own steps 1 to 4. The loss is mixed by `weight_N` from both labels; a hit is the
   label with the larger weight, the image's own if equal.

Draws depend on an image's position in its split, not in the epoch: they are equal for every batch size, order and
resume point. None switches a step off, without cost.

Shape legend: N images, H x W pixels of output and input, G geometric transformations, K slots, Q boxes, J values of an
image.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.affine import random_affine
from cnnlab.augment.crop import crop_offsets, cropped_positions
from cnnlab.augment.cutout import cutout_boxes
from cnnlab.augment.erase import erased_boxes
from cnnlab.augment.flip import flip_choices, flip_positions
from cnnlab.augment.matrices import composed
from cnnlab.augment.mix import mixing
from cnnlab.augment.noise import noise_words
from cnnlab.augment.policies import autoaugment_slots, randaugment_slots, trivialaugment_slots
from cnnlab.augment.rotate import rotation_angles, rotation_matrices
from cnnlab.augment.slots import Slots, chance_slot, jitter_slots, joined, single_operations
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.augmentation import Augment

OUTSIDE = -1


@dataclass(frozen=True)
class EpochDraws:
    """What happens to each image of a split in one epoch, in the order above.

    `rows_NH`, `columns_NW`: the input row of every output row, the input column of every output column, or OUTSIDE.
    `matrices_NG23`: from output position to position in the image before that step, see `matrices.py`; each selects the
    nearest pixels of the step before. `bilinear`: all steps as one, which interpolates the four nearest pixels.
    `codes_NK`, `values_NK`: see `slots.py`; `blur_radius`: pixels on each side that a blur reaches. `noise_N`,
    `noise_J`: words of `noise.py`.
    `boxes_NQ4`, `swaps_N4`: top, left, bottom, right; the last two are the first row and column after the box.
    `partner_N`: position in the split of the image that is mixed in; `weight_N`: share of the image itself, 0..1.
    """

    rows_NH: NDArray[np.int32] | None = None
    columns_NW: NDArray[np.int32] | None = None
    matrices_NG23: NDArray[np.float64] | None = None
    bilinear: bool = False
    codes_NK: NDArray[np.int8] | None = None
    values_NK: NDArray[np.float32] | None = None
    blur_radius: int = 0
    noise_N: NDArray[np.int32] | None = None
    noise_J: NDArray[np.int32] | None = None
    boxes_NQ4: NDArray[np.int32] | None = None
    partner_N: NDArray[np.int64] | None = None
    weight_N: NDArray[np.float32] | None = None
    swaps_N4: NDArray[np.int32] | None = None

    def at(self, positions: NDArray[np.int64]) -> "EpochDraws":
        """The draws for the images at these positions of the split."""
        arrays = {name: getattr(self, name) for name in _PER_IMAGE}
        return replace(self, **{name: array[positions] for name, array in arrays.items() if array is not None})


_PER_IMAGE = (
    *("rows_NH", "columns_NW", "matrices_NG23", "codes_NK", "values_NK", "noise_N", "boxes_NQ4"),
    *("partner_N", "weight_N", "swaps_N4"),
)


def draw_epoch(
    augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int, channels: int
) -> EpochDraws:
    """Draw all parameters for `augment` in `epoch` (from 0), each method from its own generator."""
    rows, columns = _shifts(augment, seed, epoch, num_images, height, width)
    matrices = _matrices(augment, seed, epoch, num_images, height, width)
    methods = [one for one in (augment.rotate, augment.affine) if one is not None]
    bilinear = any(one.interpolation == "bilinear" for one in methods)
    if matrices is not None and bilinear:
        matrices = composed(matrices)[:, None]
    slots = _slots(augment, seed, epoch, num_images, height, width)
    noise_N, noise_J = (
        noise_words(seed, epoch, num_images, height * width * channels) if augment.noise else (None, None)
    )
    boxes = _boxes(augment, seed, epoch, num_images, height, width)
    mixed = None
    if augment.mixup or augment.cutmix:
        generator = derive_generator(seed, "mix", epoch)
        mixed = mixing(generator, augment.mixup, augment.cutmix, num_images, height, width)
    return EpochDraws(
        rows_NH=rows,
        columns_NW=columns,
        matrices_NG23=matrices,
        bilinear=bilinear,
        codes_NK=slots.codes_NK if slots else None,
        values_NK=slots.values_NK if slots else None,
        blur_radius=augment.blur.kernel // 2 if augment.blur else 0,
        noise_N=noise_N,
        noise_J=noise_J,
        boxes_NQ4=boxes,
        **mixed._asdict() if mixed else {},
    )


def _shifts(
    augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None]:
    rows = columns = None
    if crop := augment.crop:
        offsets_N2 = crop_offsets(derive_generator(seed, "crop", epoch), num_images, crop.padding)
        rows = cropped_positions(offsets_N2[:, 0], height, crop.mode)
        columns = cropped_positions(offsets_N2[:, 1], width, crop.mode)
    if flip := augment.flip:
        chosen_N = flip_choices(flip, seed, epoch, num_images)
        unmoved = np.arange(width, dtype=np.int32)[None]
        columns = flip_positions(unmoved if columns is None else columns, chosen_N)
    return rows, columns


def _matrices(
    augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int
) -> NDArray[np.float64] | None:
    steps = []
    if rotate := augment.rotate:
        angles_N = rotation_angles(derive_generator(seed, "rotate", epoch), num_images, rotate.degrees)
        steps.append(rotation_matrices(angles_N, height, width))
    if affine := augment.affine:
        steps.append(random_affine(derive_generator(seed, "affine", epoch), affine, num_images, height, width))
    return np.stack(steps, axis=1) if steps else None


def _slots(augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int) -> Slots | None:
    slots = []
    if augment.policy == "autoaugment":
        slots.append(autoaugment_slots(derive_generator(seed, "policy", epoch), num_images, height, width))
    if augment.policy == "trivialaugment":
        slots.append(trivialaugment_slots(derive_generator(seed, "policy", epoch), num_images, height, width))
    if augment.randaugment:
        generator = derive_generator(seed, "policy", epoch)
        slots.append(randaugment_slots(generator, augment.randaugment, num_images, height, width))
    if augment.jitter:
        slots.append(jitter_slots(derive_generator(seed, "jitter", epoch), augment.jitter, num_images))
    for single in single_operations(augment):
        slots.append(chance_slot(derive_generator(seed, single.name, epoch), single, num_images))
    return joined(slots) if slots else None


def _boxes(
    augment: Augment, seed: int, epoch: int, num_images: int, height: int, width: int
) -> NDArray[np.int32] | None:
    boxes = []
    if erase := augment.erase:
        boxes.append(erased_boxes(derive_generator(seed, "erase", epoch), erase, num_images, height, width))
    if cutout := augment.cutout:
        boxes.append(cutout_boxes(derive_generator(seed, "cutout", epoch), num_images, cutout.size, height, width))
    return np.stack(boxes, axis=1) if boxes else None
