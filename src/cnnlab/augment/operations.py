"""Operations on the pixels of one image, each with one number: steps of a chain that differs from image to image.

Values are whole numbers 0..255 before and after each operation; where a formula gives fractions, they are cut off as
Pillow does, or rounded where its column below says so. `engines` apply them to whole batches, `reference.py` to one
image. L is the luminance, (19595 R + 38470 G + 7471 B + 32768) / 65536 cut off, or the grey value itself.

code            value              new value of x
BRIGHTNESS      factor f           f x
CONTRAST        factor f           m + f (x - m); m is the mean of L over the image, rounded
SATURATION      factor f           L + f (x - L)
HUE             turn t             the same colour with its hue (HSV) turned by t of a circle, rounded
SHARPNESS       factor f           s + f (x - s); s is the 3x3 mean with 5 at the centre, 13 in all, rounded; border: x
POSTERIZE       bits b             the upper b bits of x
SOLARIZE        threshold t        255 - x where x >= t
INVERT          -                  255 - x
GRAYSCALE       -                  L
EQUALIZE        -                  the table that spreads each channel's values evenly
AUTOCONTRAST    -                  the line that maps each channel's least and largest value to 0 and 255
BLUR            deviation s        normal weights of deviation s, borders reflected, rounded
NOISE           deviation s        x + s z, z standard normal, rounded
SHEAR_X, SHEAR_Y        tangent    rows, columns move in proportion to their distance from the edge at 0; nearest pixel
TRANSLATE_X, TRANSLATE_Y  pixels   to the right, downward; black from outside
ROTATE          degrees            counter-clockwise about the centre; nearest pixel

Results are cut to 0..255. Sources: Pillow's ImageEnhance, ImageOps and Image.transform; torchvision's functional.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.matrices import affine_matrices


class Operation(IntEnum):
    """See the table above; NONE leaves the image as it is."""

    NONE = 0
    BRIGHTNESS = 1
    CONTRAST = 2
    SATURATION = 3
    HUE = 4
    SHARPNESS = 5
    POSTERIZE = 6
    SOLARIZE = 7
    INVERT = 8
    GRAYSCALE = 9
    EQUALIZE = 10
    AUTOCONTRAST = 11
    BLUR = 12
    NOISE = 13
    SHEAR_X = 14
    SHEAR_Y = 15
    TRANSLATE_X = 16
    TRANSLATE_Y = 17
    ROTATE = 18


MOVES = (
    Operation.SHEAR_X,
    Operation.SHEAR_Y,
    Operation.TRANSLATE_X,
    Operation.TRANSLATE_Y,
    Operation.ROTATE,
)
"""Operations that move pixels."""


def move_matrices(operation: Operation, values_N: NDArray[np.floating], height: int, width: int) -> NDArray[np.float64]:
    """Output to input position of each image, N x 2 x 3, see `matrices.py`."""
    numbers_N: NDArray[np.float64] = np.asarray(values_N, np.float64)
    match operation:
        case Operation.SHEAR_X | Operation.SHEAR_Y:
            angles_N = np.degrees(np.arctan(numbers_N))
            along_x = operation is Operation.SHEAR_X
            return affine_matrices((0.0, 0.0), shear=(angles_N, 0.0) if along_x else (0.0, angles_N))
        case Operation.TRANSLATE_X:
            return affine_matrices((width / 2, height / 2), translate=(numbers_N, 0.0))
        case Operation.TRANSLATE_Y:
            return affine_matrices((width / 2, height / 2), translate=(0.0, numbers_N))
        case Operation.ROTATE:
            return affine_matrices((width / 2, height / 2), angle=-numbers_N)
    raise AssertionError(f"{operation} moves nothing")
