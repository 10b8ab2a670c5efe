"""Geometry of a whole batch in one gather; the operations after it are still computed image by image.

Shape legend: B images, H x W pixels, C channels, G geometric transformations.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.draws import OUTSIDE, EpochDraws
from cnnlab.augment.matrices import fixed_point
from cnnlab.augment.reference import changed, operated

Pixels = NDArray[np.uint8]


def changed_batch(images_BHWC: Pixels, draws: EpochDraws) -> Pixels:
    """The images before normalisation, after geometry and operations; `draws` are those of these images.

    Equal to `reference.changed` of each image. The input is not changed, but may be returned.
    """
    if draws.bilinear and draws.matrices_NG23 is not None:
        return np.stack([changed(image, draws, place) for place, image in enumerate(images_BHWC)])
    if any(step is not None for step in (draws.rows_NH, draws.columns_NW, draws.matrices_NG23)):
        images_BHWC = _moved(images_BHWC, draws)
    if draws.codes_NK is None:
        return images_BHWC
    return np.stack([operated(image, draws, place) for place, image in enumerate(images_BHWC)])


def _moved(images_BHWC: Pixels, draws: EpochDraws) -> Pixels:
    """Each output pixel followed back through all transformations to the stored pixel that it shows."""
    num_images, height, width, _ = images_BHWC.shape
    images_B11 = np.arange(num_images)[:, None, None]
    row: NDArray[Any] = np.arange(height)[None, :, None]
    column: NDArray[Any] = np.arange(width)[None, None, :]
    inside: NDArray[np.bool_] = np.ones((1, 1, 1), np.bool_)
    if draws.matrices_NG23 is not None:
        for matrix_B23 in fixed_point(draws.matrices_NG23).astype(np.int64).swapaxes(0, 1)[::-1]:
            x, y = (
                (a * column + b * row + c) >> 16
                for a, b, c in (matrix_B23[:, axis].T[:, :, None, None] for axis in (0, 1))
            )
            inside = inside & (x >= 0) & (x < width) & (y >= 0) & (y < height)
            row, column = y.clip(0, height - 1), x.clip(0, width - 1)
    if draws.rows_NH is not None:
        row = draws.rows_NH[images_B11, row]
    if draws.columns_NW is not None:
        column = draws.columns_NW[images_B11, column]
    inside = inside & (row != OUTSIDE) & (column != OUTSIDE)
    return np.where(inside[..., None], images_BHWC[images_B11, row, column], np.uint8(0))
