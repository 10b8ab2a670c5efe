"""Affine transformations: matrices from output to input positions, and their fixed-point form.

Positions are (x, y) with Pillow's coordinates: the centre of the first pixel is (0.5, 0.5). The fixed-point form counts
whole 65536ths of a pixel, as Pillow does for the nearest pixel: all engines and Pillow select the same pixels. Only
where nothing is rotated or sheared, Pillow adds up steps in float64 and can select a neighbour at a border.
"""

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64] | float


def affine_matrices(
    centre: tuple[float, float],
    angle: Values = 0.0,
    translate: tuple[Values, Values] = (0.0, 0.0),
    scale: Values = 1.0,
    shear: tuple[Values, Values] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """Matrices N x 2 x 3 for clockwise `angle` and `shear` in degrees, `translate` in pixels, all about `centre`.

    The image is sheared, scaled and rotated about the centre, then moved, as torchvision's `affine` does: M = T C R S
    SHy SHx C^-1. These are the inverses (its `_get_inverse_affine_matrix`).
    """
    arrays: tuple[Any, ...] = np.broadcast_arrays(*map(np.float64, (angle, *translate, scale, *shear)))
    angle, right, down, scale, shear_x, shear_y = (np.atleast_1d(values) for values in arrays)
    turn, sx, sy = np.radians(angle), np.radians(shear_x), np.radians(shear_y)
    # Rounded as in Pillow, so that a quarter turn is exact.
    a = np.round(np.cos(turn - sy) / np.cos(sy), 15)
    b = np.round(-np.cos(turn - sy) * np.tan(sx) / np.cos(sy) - np.sin(turn), 15)
    c = np.round(np.sin(turn - sy) / np.cos(sy), 15)
    d = np.round(-np.sin(turn - sy) * np.tan(sx) / np.cos(sy) + np.cos(turn), 15)
    x, y = centre
    rows = [
        [first / scale, second / scale, origin - (first * (x + right) + second * (y + down)) / scale]
        for first, second, origin in ((d, -b, x), (-c, a, y))
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def composed(matrices_NG23: NDArray[np.float64]) -> NDArray[np.float64]:
    """One matrix for G transformations in the order of their application to the image, N x 2 x 3."""
    num_images, num_steps = matrices_NG23.shape[:2]
    square = np.zeros((num_images, num_steps, 3, 3))
    square[:, :, :2], square[:, :, 2, 2] = matrices_NG23, 1
    # Positions go backwards: the last transformation maps the output's position first.
    return reduce(np.matmul, (square[:, step] for step in range(num_steps)))[:, :2]


def fixed_point(matrices_N23: NDArray[np.float64]) -> NDArray[np.int32]:
    """The matrices for whole pixels, in 65536ths: input position = (a * column + b * row + c), at pixel centres."""
    fixed = matrices_N23.copy()
    fixed[..., 2] += fixed[..., 0] * 0.5 + fixed[..., 1] * 0.5
    return np.floor(fixed * 65536 + 0.5).astype(np.int32)
