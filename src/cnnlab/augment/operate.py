"""One operation on one image in plain NumPy: the reference for every engine. See the table in `operations.py`.

Shape legend: H x W pixels, C channels, 1 or 3.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.matrices import fixed_point
from cnnlab.augment.operations import MOVES, Operation, move_matrices

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]
LUMINANCE = (19595, 38470, 7471)
"""Weights of red, green and blue in 65536ths, as in Pillow (ITU-R 601-2)."""


def operate(image_HWC: Pixels, operation: Operation, value: float, blur_radius: int = 0) -> Pixels:
    """The changed image. `value` is used as float32, as engines have it. NOISE has its own function."""
    x = image_HWC
    number = np.float32(value)
    match operation:
        case Operation.NONE:
            return x
        case Operation.BRIGHTNESS:
            return _blended(np.zeros_like(x), x, number)
        case Operation.CONTRAST:
            mean = int(luminance(x).mean() + 0.5)
            return _blended(np.full_like(x, mean), x, number)
        case Operation.SATURATION:
            return _blended(luminance(x), x, number)
        case Operation.HUE:
            return turned_hue(x, float(number))
        case Operation.SHARPNESS:
            return _blended(_smooth(x), x, number)
        case Operation.POSTERIZE:
            return x & np.uint8(256 - 2 ** (8 - int(value)))
        case Operation.SOLARIZE:
            return np.where(x >= number, 255 - x, x)
        case Operation.INVERT:
            return 255 - x
        case Operation.GRAYSCALE:
            return np.broadcast_to(luminance(x), x.shape).copy()
        case Operation.EQUALIZE:
            return _by_table(x, equalize_table)
        case Operation.AUTOCONTRAST:
            return _by_table(x, autocontrast_table)
        case Operation.BLUR:
            return blurred(x, float(number), blur_radius)
    assert operation in MOVES, operation
    return moved(x, fixed_point(move_matrices(operation, np.array([number]), *x.shape[:2]))[0])


def luminance(image_HWC: Pixels) -> Pixels:
    """H x W x 1, whole numbers."""
    if image_HWC.shape[-1] == 1:
        return image_HWC
    total = sum(image_HWC[..., c].astype(np.int64) * weight for c, weight in enumerate(LUMINANCE))
    return (np.asarray(total + 32768) >> 16).astype(np.uint8)[..., None]


def noisy(image_HWC: Pixels, normal_J: Values, deviation: float) -> Pixels:
    """Normal numbers in the order of the image's values, channel by channel."""
    height, width, channels = image_HWC.shape
    noise_HWC = deviation * normal_J.reshape(channels, height, width).transpose(1, 2, 0)
    return np.floor((image_HWC + noise_HWC).clip(0, 255) + 0.5).astype(np.uint8)


def _blended(base: Pixels, x: Pixels, factor: np.float32) -> Pixels:
    """base + factor (x - base) in float32, cut off, as Pillow's `blend`."""
    difference = x.astype(np.float32) - base.astype(np.float32)
    return (base.astype(np.float32) + factor * difference).clip(0, 255).astype(np.uint8)


def _smooth(x: Pixels) -> Pixels:
    """The mean of 3x3 with weight 5 at the centre, of 13 in all, rounded; the border as it is."""
    smooth = x.copy()
    height, width, _ = x.shape
    if min(height, width) > 2:
        wide = x.astype(np.int64)
        total = sum(wide[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3))
        smooth[1:-1, 1:-1] = (2 * (total + 4 * wide[1:-1, 1:-1]) + 13) // 26
    return smooth


def turned_hue(x: Pixels, turn: float) -> Pixels:
    """HSV with another hue, in float64, rounded. Source: Smith, "Color gamut transform pairs" (1978)."""
    if x.shape[-1] == 1:
        return x
    red, green, blue = np.moveaxis(x.astype(np.float64), -1, 0)
    value, least = x.max(-1).astype(np.float64), x.min(-1).astype(np.float64)
    chroma = value - least
    divisor = np.where(chroma > 0, chroma, 1)
    sixth = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixth = sixth + 6 * turn
    channels = []
    for offset in (5, 3, 1):
        k = (sixth + offset) % 6
        channels.append(value - chroma * np.minimum(k, 4 - k).clip(0, 1))
    return np.floor(np.stack(channels, -1) + 0.5).clip(0, 255).astype(np.uint8)


def equalize_table(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pillow's ImageOps.equalize: the new value of each of the 256 values of one channel."""
    present = histogram[histogram > 0]
    step = (present.sum() - present[-1]) // 255
    if len(present) <= 1 or step == 0:
        return np.arange(256)
    before = np.concatenate([[0], np.cumsum(histogram)[:-1]])
    table: NDArray[np.int64] = np.minimum((step // 2 + before) // step, 255)
    return table


def autocontrast_table(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pillow's ImageOps.autocontrast: a line through (least, 0) and (largest, 255), cut off."""
    present = np.flatnonzero(histogram)
    low, high = present[0], present[-1]
    if high <= low:
        return np.arange(256)
    scale = 255.0 / (high - low)
    line: NDArray[np.float64] = np.arange(256) * scale - low * scale
    return line.clip(0, 255).astype(np.int64)


def _by_table(x: Pixels, table_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Pixels:
    changed = x.copy()
    for channel in range(x.shape[-1]):
        values = x[..., channel]
        table = table_of(np.bincount(values.ravel(), minlength=256))
        changed[..., channel] = table[values]
    return changed


def blur_weights(deviation: float, radius: int) -> Values:
    """2 radius + 1 normal weights, of sum 1."""
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    return np.asarray(weights / weights.sum())


def blurred(x: Pixels, deviation: float, radius: int) -> Pixels:
    """Rows, then columns, each with normal weights; borders reflected without repeating the border."""
    weights = blur_weights(deviation, radius)
    values = np.pad(x.astype(np.float64), ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    height, width, _ = x.shape
    rows = sum(weight * values[i : i + height] for i, weight in enumerate(weights))
    both = sum(weight * np.asarray(rows)[:, j : j + width] for j, weight in enumerate(weights))
    return np.floor(np.asarray(both) + 0.5).clip(0, 255).astype(np.uint8)


def moved(image_HWC: Pixels, matrix_23: NDArray[np.int32]) -> Pixels:
    """The nearest pixels; black from outside. `matrix_23` in fixed point."""
    height, width, _ = image_HWC.shape
    row_HW, column_HW = np.indices((height, width))
    x_HW, y_HW = ((a * column_HW + b * row_HW + c) >> 16 for a, b, c in matrix_23.tolist())
    inside_HW = (x_HW >= 0) & (x_HW < width) & (y_HW >= 0) & (y_HW < height)
    seen_HWC = image_HWC[y_HW.clip(0, height - 1), x_HW.clip(0, width - 1)]
    return np.where(inside_HW[..., None], seen_HWC, 0).astype(np.uint8)
