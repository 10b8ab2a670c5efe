"""Augmentation of one image in plain NumPy: slow and readable, the reference for every engine.

Shape legend: H x W pixels, C channels; N images of the split.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.draws import OUTSIDE, EpochDraws, draw_epoch
from cnnlab.augment.rotate import fixed_point
from cnnlab.recipe.sections import Augment

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]


def augmented(images_NHWC: Pixels, draws: EpochDraws, position: int, mean_C: Values) -> Values:
    """The image at `position` of the split, H x W x C in 0..255; `mean_C` becomes 0 by normalisation."""

    def alone(n: int) -> Values:
        values_HWC = _recoloured(_moved(images_NHWC[n], draws, n), draws, n)
        if draws.boxes_N4 is not None:
            values_HWC[box(draws, n)] = mean_C
        return values_HWC

    if draws.partner_N is None or draws.weight_N is None:
        return alone(position)
    weight = float(draws.weight_N[position])
    return weight * alone(position) + (1 - weight) * alone(int(draws.partner_N[position]))


def moved_and_recoloured(image_HWC: Pixels, draws: EpochDraws, position: int) -> Pixels:
    """One image before normalisation as uint8, without boxes and mixing."""
    return np.rint(_recoloured(_moved(image_HWC, draws, position), draws, position)).astype(np.uint8)


def box(draws: EpochDraws, position: int) -> tuple[slice, slice]:
    """Rows and columns that are removed."""
    assert draws.boxes_N4 is not None
    top, left, bottom, right = draws.boxes_N4[position]
    return slice(top, bottom), slice(left, right)


def preview_batch(images_NHWC: Pixels, augment: Augment, seed: int = 1, epoch: int = 0) -> Pixels:
    """The images of an epoch before normalisation, uint8; boxes have the mean colour of these images."""
    num_images, height, width, channels = images_NHWC.shape
    draws = draw_epoch(augment, seed, epoch, num_images, height, width)
    mean_C = images_NHWC.mean(axis=(0, 1, 2)) if num_images else np.zeros(channels)
    seen_NHWC = np.empty_like(images_NHWC)
    for position in range(num_images):
        seen_NHWC[position] = np.rint(augmented(images_NHWC, draws, position, mean_C))
    return seen_NHWC


def _moved(image_HWC: Pixels, draws: EpochDraws, n: int) -> Pixels:
    height, width, _ = image_HWC.shape
    rows_H = np.arange(height) if draws.rows_NH is None else draws.rows_NH[n]
    columns_W = np.arange(width) if draws.columns_NW is None else draws.columns_NW[n]
    moved_HWC = image_HWC[rows_H][:, columns_W]
    moved_HWC[rows_H == OUTSIDE] = 0
    moved_HWC[:, columns_W == OUTSIDE] = 0
    if draws.matrices_N23 is None:
        return moved_HWC
    return _transformed(moved_HWC, fixed_point(draws.matrices_N23[n]), draws.bilinear)


def _transformed(image_HWC: Pixels, matrix_23: NDArray[np.int32], bilinear: bool) -> Pixels:
    height, width, _ = image_HWC.shape
    row_HW, column_HW = np.indices((height, width))
    x_HW, y_HW = (a * column_HW + b * row_HW + c for a, b, c in matrix_23.tolist())

    def pixels(column_HW: NDArray[np.int64], row_HW: NDArray[np.int64]) -> NDArray[np.int64]:
        """Outside the image: the pixel at the border."""
        places = row_HW.clip(0, height - 1), column_HW.clip(0, width - 1)
        return np.asarray(image_HWC[places], dtype=np.int64)

    column_HW, row_HW = x_HW >> 16, y_HW >> 16
    seen_HWC = pixels(column_HW, row_HW)
    if bilinear:
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


def _recoloured(pixels_HWC: Pixels, draws: EpochDraws, n: int) -> Values:
    if draws.tables_NCV is not None:
        channels = range(pixels_HWC.shape[-1])
        pixels_HWC = np.stack([draws.tables_NCV[n, c][pixels_HWC[..., c]] for c in channels], axis=-1)
    values_HWC = pixels_HWC.astype(np.float64)
    if draws.colours_NCD is not None:
        matrix_CD = draws.colours_NCD[n].astype(np.float64)
        values_HWC = (values_HWC @ matrix_CD[:, :-1].T + matrix_CD[:, -1]).clip(0, 255)
    return values_HWC
