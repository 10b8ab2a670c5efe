"""Random erasing: a rectangle of random size and place is removed.

Source: Zhong et al., "Random erasing data augmentation" (AAAI 2020), with the draws of torchvision's RandomErasing:
the area uniform, the ratio of the sides uniform on a logarithmic scale; ten attempts to find one that fits, else none.
"""

import math

import numpy as np
from numpy.typing import NDArray

from cnnlab.recipe.augmentation import Erase

ATTEMPTS = 10


def erased_boxes(
    generator: np.random.Generator, erase: Erase, num_images: int, height: int, width: int
) -> NDArray[np.int32]:
    """Top, left, bottom, right of each image's rectangle, N x 4; all 0 where nothing is erased."""
    shape = (num_images, ATTEMPTS)
    areas = height * width * generator.uniform(*erase.scale, shape)
    ratios = np.exp(generator.uniform(math.log(erase.ratio[0]), math.log(erase.ratio[1]), shape))
    heights, widths = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = (heights < height) & (widths < width)
    first_N1 = fits.argmax(axis=1)[:, None]
    height_N, width_N = (np.take_along_axis(sides, first_N1, axis=1)[:, 0] for sides in (heights, widths))
    top_N = np.floor(generator.random(num_images) * (height - height_N + 1))
    left_N = np.floor(generator.random(num_images) * (width - width_N + 1))
    boxes_N4 = np.stack([top_N, left_N, top_N + height_N, left_N + width_N], axis=1)
    happens_N = (generator.random(num_images) < erase.p) & fits.any(axis=1)
    return np.where(happens_N[:, None], boxes_N4, 0).astype(np.int32)
