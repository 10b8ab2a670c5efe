"""A trained network for prediction with the from-scratch engine, and its logits of another one's images.

Shape legend: N images, B images of a batch, H x W pixels, C channels, K classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape
from cnnlab.engines.batches import evaluation_batch
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import TeacherNetwork
from cnnlab.engines.scratch.threads import one_blas_thread
from cnnlab.engines.weights import Arrays
from cnnlab.scratch.network import Network
from cnnlab.scratch.parameters import Parameters
from cnnlab.scratch.team import Team

Array = NDArray[Any]


class ScratchNetwork:
    """See `engines.protocol.Network`."""

    def __init__(
        self,
        architecture: Architecture,
        image_shape: Shape,
        normalisation: Normalisation,
        weights: Mapping[str, NDArray[Any]],
        team: Team,
    ) -> None:
        self.parameters = Parameters(architecture.trace(image_shape).arrays, weights)
        self.network = Network(architecture, image_shape, self.parameters, team)
        self.batch = evaluation_batch(architecture, image_shape)
        scale, shift = normalisation.affine()
        self.scale_C, self.shift_C = np.array(scale, np.float32), np.array(shift, np.float32)

    def weights(self) -> Arrays:
        return {name: np.array(value) for name, value in self.parameters.state().items()}

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        def normalised(start: int, stop: int) -> Array:
            pixels_HWBC = images_NHWC[start:stop].transpose(1, 2, 0, 3).astype(np.float32, order="C")
            return pixels_HWBC * self.scale_C + self.shift_C

        starts = range(0, len(images_NHWC), self.batch)
        with one_blas_thread():
            batches = [
                self.network.logits(normalised, start, min(start + self.batch, len(images_NHWC))) for start in starts
            ]
        return np.concatenate(batches)


class Teacher:
    """The network that another one learns from, on images as that one sees them. One for each thread."""

    def __init__(self, trained: TeacherNetwork, image_shape: Shape, learner: Normalisation) -> None:
        theirs = trained.normalisation
        self.network = ScratchNetwork(trained.architecture, image_shape, theirs, trained.weights, Team(1)).network
        scale = [std / other for std, other in zip(learner.std, theirs.std, strict=True)]
        shift = [(m - o) / s for m, o, s in zip(learner.mean, theirs.mean, theirs.std, strict=True)]
        self.scale_C, self.shift_C = np.array(scale, np.float32), np.array(shift, np.float32)

    def logits(self, images_HWBC: Array) -> Array:
        """B x K of images that are normalised for the learner."""
        seen_HWBC = images_HWBC.astype(np.float32) * self.scale_C + self.shift_C
        return self.network.logits(lambda start, stop: seen_HWBC[:, :, start:stop], 0, seen_HWBC.shape[2])
