"""Random affine transformation, as torchvision's RandomAffine: angle, shift in whole pixels, scale and shear."""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.matrices import affine_matrices
from cnnlab.recipe.augmentation import Affine


def random_affine(
    generator: np.random.Generator, affine: Affine, num_images: int, height: int, width: int
) -> NDArray[np.float64]:
    """Matrices from output to input position (x, y), N x 2 x 3; all draws are uniform."""
    angles_N = generator.uniform(-affine.degrees, affine.degrees, num_images)
    limits = affine.translate[0] * width, affine.translate[1] * height
    right_N, down_N = (np.rint(generator.uniform(-most, most, num_images)) for most in limits)
    scales_N = generator.uniform(*affine.scale, num_images)
    shears_N = generator.uniform(-affine.shear, affine.shear, num_images)
    return affine_matrices(
        (width / 2, height / 2), angle=angles_N, translate=(right_N, down_N), scale=scales_N, shear=(shears_N, 0.0)
    )
