"""Augmentation of one image in plain NumPy: slow and readable, the reference for every engine.

Shape legend: H x W pixels, C channels; N images of the split.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.draws import OUTSIDE, EpochDraws, draw_epoch
from cnnlab.augment.fit import misfits
from cnnlab.augment.matrices import fixed_point
from cnnlab.augment.noise import normal
from cnnlab.augment.operate import moved, noisy, operate
from cnnlab.augment.operations import Operation
from cnnlab.core.errors import CnnlabError
from cnnlab.recipe.augmentation import Augment

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]


def augmented(images_NHWC: Pixels, draws: EpochDraws, position: int, mean_C: Values) -> Values:
    """The image at `position` of the split, H x W x C in 0..255; `mean_C` becomes 0 by normalisation."""

    def alone(n: int) -> Values:
        values_HWC = changed(images_NHWC[n], draws, n).astype(np.float64)
        for box in boxes(draws, n):
            values_HWC[box] = mean_C
        return values_HWC

    if draws.partner_N is None or draws.weight_N is None or draws.swaps_N4 is None:
        return alone(position)
    own, partner = alone(position), alone(int(draws.partner_N[position]))
    top, left, bottom, right = draws.swaps_N4[position]
    if bottom > top and right > left:
        own[top:bottom, left:right] = partner[top:bottom, left:right]
        return own
    weight = float(draws.weight_N[position])
    return weight * own + (1 - weight) * partner


def changed(image_HWC: Pixels, draws: EpochDraws, position: int) -> Pixels:
    """One image before normalisation: geometry and operations."""
    return operated(_transformed(_shifted(image_HWC, draws, position), draws, position), draws, position)


def operated(image_HWC: Pixels, draws: EpochDraws, position: int) -> Pixels:
    """One image after the operations alone."""
    if draws.codes_NK is None or draws.values_NK is None:
        return image_HWC
    for code, value in zip(draws.codes_NK[position], draws.values_NK[position], strict=True):
        if code == Operation.NOISE:
            assert draws.noise_N is not None
            assert draws.noise_J is not None
            image_HWC = noisy(image_HWC, normal(draws.noise_N[position], draws.noise_J), float(value))
        else:
            image_HWC = operate(image_HWC, Operation(code), float(value), draws.blur_radius)
    return image_HWC


def boxes(draws: EpochDraws, position: int) -> list[tuple[slice, slice]]:
    """Rows and columns that are removed."""
    if draws.boxes_NQ4 is None:
        return []
    return [(slice(top, bottom), slice(left, right)) for top, left, bottom, right in draws.boxes_NQ4[position]]


def preview_batch(images_NHWC: Pixels, augment: Augment, seed: int = 1, epoch: int = 0) -> Pixels:
    """The images of an epoch before normalisation, uint8; boxes have the mean colour of these images.

    Raises CnnlabError where `augment` does not fit the images.
    """
    num_images, height, width, channels = images_NHWC.shape
    if problems := misfits(augment, (channels, height, width)):
        raise CnnlabError(*problems)
    draws = draw_epoch(augment, seed, epoch, num_images, height, width, channels)
    mean_C = images_NHWC.mean(axis=(0, 1, 2)) if num_images else np.zeros(channels)
    seen_NHWC = np.empty_like(images_NHWC)
    for position in range(num_images):
        seen_NHWC[position] = np.rint(augmented(images_NHWC, draws, position, mean_C))
    return seen_NHWC


def _shifted(image_HWC: Pixels, draws: EpochDraws, n: int) -> Pixels:
    height, width, _ = image_HWC.shape
    rows_H = np.arange(height) if draws.rows_NH is None else draws.rows_NH[n]
    columns_W = np.arange(width) if draws.columns_NW is None else draws.columns_NW[n]
    moved_HWC = image_HWC[rows_H][:, columns_W]
    moved_HWC[rows_H == OUTSIDE] = 0
    moved_HWC[:, columns_W == OUTSIDE] = 0
    return moved_HWC


def _transformed(image_HWC: Pixels, draws: EpochDraws, n: int) -> Pixels:
    for matrix_23 in () if draws.matrices_NG23 is None else fixed_point(draws.matrices_NG23[n]):
        image_HWC = _interpolated(image_HWC, matrix_23) if draws.bilinear else moved(image_HWC, matrix_23)
    return image_HWC


def _interpolated(image_HWC: Pixels, matrix_23: NDArray[np.int32]) -> Pixels:
    height, width, _ = image_HWC.shape
    row_HW, column_HW = np.indices((height, width))
    x_HW, y_HW = (a * column_HW + b * row_HW + c for a, b, c in matrix_23.tolist())

    def pixels(column_HW: NDArray[np.int64], row_HW: NDArray[np.int64]) -> NDArray[np.int64]:
        """Outside the image: the pixel at the border."""
        places = row_HW.clip(0, height - 1), column_HW.clip(0, width - 1)
        return np.asarray(image_HWC[places], dtype=np.int64)

    column_HW, row_HW = x_HW >> 16, y_HW >> 16
    left_HW, top_HW = (x_HW - 32768) >> 16, (y_HW - 32768) >> 16
    right, below = (((p_HW - 32768) % 65536 + 128) >> 8 for p_HW in (x_HW, y_HW))  # 256ths
    both = (right * below + 128) >> 8
    neighbours = (
        (256 - right - below + both, pixels(left_HW, top_HW)),
        (right - both, pixels(left_HW + 1, top_HW)),
        (below - both, pixels(left_HW, top_HW + 1)),
        (both, pixels(left_HW + 1, top_HW + 1)),
    )
    seen_HWC = (sum(weight_HW[..., None] * seen for weight_HW, seen in neighbours) + 128) >> 8
    inside_HW = (column_HW >= 0) & (column_HW < width) & (row_HW >= 0) & (row_HW < height)
    return np.where(inside_HW[..., None], seen_HWC, 0).astype(np.uint8)
