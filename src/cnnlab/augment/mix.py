"""Mixup and CutMix: an image and a random partner of its split become one, and so do their labels.

Sources: Zhang et al., "mixup: beyond empirical risk minimization" (ICLR 2018); Yun et al., "CutMix" (ICCV 2019). Here
each image has its own partner and weight, not one weight per batch: the result does not depend on the batch size.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnlab.recipe.augmentation import CutMix, Mixup


class Mixing(NamedTuple):
    """`partner_N`: position of the partner. `weight_N`: share of the image's own label.

    `swaps_N4`: top, left, bottom, right of the rectangle that comes from the partner; empty where the images are
    blended by the weight instead.
    """

    partner_N: NDArray[np.int64]
    weight_N: NDArray[np.float32]
    swaps_N4: NDArray[np.int32]


def mixing(
    generator: np.random.Generator,
    mixup: Mixup | None,
    cutmix: CutMix | None,
    num_images: int,
    height: int,
    width: int,
) -> Mixing:
    """Partners uniform over the split. With both methods, each image takes one of them, at equal odds."""
    partner_N = generator.integers(max(num_images, 1), size=num_images)
    takes_cutmix_N = generator.random(num_images) < (0.5 if mixup and cutmix else float(cutmix is not None))
    weight_N, swaps_N4 = np.ones(num_images), np.zeros((num_images, 4), np.int32)
    happens = generator.random(num_images)
    if mixup:
        blended_N = ~takes_cutmix_N & (happens < mixup.p)
        weight_N = np.where(blended_N, generator.beta(mixup.alpha, mixup.alpha, num_images), weight_N)
    if cutmix:
        pasted_N = takes_cutmix_N & (happens < cutmix.p)
        boxes_N4 = _boxes(generator, 1 - generator.beta(cutmix.alpha, cutmix.alpha, num_images), height, width)
        top, left, bottom, right = boxes_N4.T
        own_N = 1 - (bottom - top) * (right - left) / (height * width)
        swaps_N4 = np.where(pasted_N[:, None], boxes_N4, 0)
        weight_N = np.where(pasted_N, own_N, weight_N)
    return Mixing(partner_N, weight_N.astype(np.float32), swaps_N4.astype(np.int32))


def _boxes(generator: np.random.Generator, areas_N: NDArray[np.float64], height: int, width: int) -> NDArray[np.int64]:
    """Rectangles with the image's ratio of sides and these parts of its area; uniform centres, cut at borders."""
    limits = np.array([height, width])
    sides_N2 = (np.sqrt(areas_N)[:, None] * limits).astype(np.int64)
    first_N2 = generator.integers(0, limits, size=(len(areas_N), 2)) - sides_N2 // 2
    boxes: NDArray[np.int64] = np.hstack([first_N2.clip(0), (first_N2 + sides_N2).clip(max=limits)])
    return boxes
