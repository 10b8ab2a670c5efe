"""Random rotation about the centre of the image; the size stays, pixels from outside are black.

As torchvision's RandomRotation(degrees): uniform on -degrees .. degrees, nearest pixel by default. Positive angles are
counter-clockwise. Bilinear weights are whole 256ths, equal on all engines.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.matrices import affine_matrices


def rotation_angles(generator: np.random.Generator, num_images: int, degrees: float) -> NDArray[np.float64]:
    """Angle of each image in degrees, counter-clockwise."""
    return generator.uniform(-degrees, degrees, num_images)


def rotation_matrices(angles_N: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """From output to input position (x, y) for each image, N x 2 x 3, as in Pillow's Image.rotate."""
    return affine_matrices((width / 2, height / 2), angle=-angles_N)
