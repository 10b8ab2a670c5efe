"""Test-time augmentation: the mean of a network's logits over several views of an image.

Shape legend: N images, H x W pixels, C channels, K classes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnnlab.deploy.predictor import Predictor

TestTime = Literal["none", "mirror", "mirror-translate"]


def logits(predictor: Predictor, images_NHWC: NDArray[np.uint8], views: TestTime = "none") -> NDArray[np.float32]:
    """Logits N x K of decoded images.

    `mirror`: the mean of an image and its mirror image. `mirror-translate`: half of that, and half the same mean over
    the image shifted by one pixel up and left, and down and right, with reflected borders (Jordan, arXiv:2404.00498).
    """
    if views == "none":
        return predictor.logits(images_NHWC)
    unmoved = _mirrored(predictor, images_NHWC)
    if views == "mirror":
        return unmoved
    height, width = images_NHWC.shape[1:3]
    padded = np.pad(images_NHWC, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect" if min(height, width) > 1 else "edge")
    moved = [_mirrored(predictor, padded[:, at : at + height, at : at + width]) for at in (0, 2)]
    return _mean(unmoved, _mean(*moved))


def _mirrored(predictor: Predictor, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _mean(predictor.logits(images_NHWC), predictor.logits(images_NHWC[:, :, ::-1]))


def _mean(first_NK: NDArray[np.float32], second_NK: NDArray[np.float32]) -> NDArray[np.float32]:
    mean_NK: NDArray[np.float32] = (first_NK + second_NK) / np.float32(2)
    return mean_NK
