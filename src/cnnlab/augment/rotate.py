"""Random rotation about the centre of the image; the size stays, pixels from outside are black.

As torchvision's RandomRotation(degrees): uniform on -degrees .. degrees, nearest pixel by default. Positive angles are
counter-clockwise. Positions are whole 65536ths of a pixel, as in Pillow for the nearest pixel: all engines and Pillow
select the same pixels. Bilinear weights are whole 256ths, equal on all engines.
"""

import numpy as np
from numpy.typing import NDArray


def rotation_angles(generator: np.random.Generator, num_images: int, degrees: float) -> NDArray[np.float64]:
    """Angle of each image in degrees, counter-clockwise."""
    return generator.uniform(-degrees, degrees, num_images)


def rotation_matrices(angles_N: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """From output to input position (x, y) for each image, N x 2 x 3, as in Pillow's Image.transform."""
    radians_N = np.radians(angles_N)
    # Rounded as in Pillow, so that a quarter turn is exact.
    cos_N, sin_N = np.round(np.cos(radians_N), 15), np.round(np.sin(radians_N), 15)
    x, y = width / 2, height / 2
    rows = [[cos_N, -sin_N, x - x * cos_N + y * sin_N], [sin_N, cos_N, y - x * sin_N - y * cos_N]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def fixed_point(matrices_N23: NDArray[np.float64]) -> NDArray[np.int32]:
    """The matrices for whole pixels, in 65536ths: input position = (a * column + b * row + c), at pixel centres."""
    fixed = matrices_N23.copy()
    fixed[..., 2] += fixed[..., 0] * 0.5 + fixed[..., 1] * 0.5
    return np.floor(fixed * 65536 + 0.5).astype(np.int32)
