"""The trained network that another one learns from: its logits of the images as the other one sees them.

Shape legend: B images, C channels, H x W pixels, K classes.
"""

import torch

from cnnlab.arch.shapes import Shape
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import TeacherNetwork
from cnnlab.engines.torch.network import with_weights


class Teacher:
    """Takes images that are normalised for the network that learns, augmented as it sees them."""

    def __init__(
        self, trained: TeacherNetwork, image_shape: Shape, learner: Normalisation, device: torch.device
    ) -> None:
        self.network = with_weights(trained.architecture, image_shape, trained.weights).eval().to(device)
        ours, theirs = learner, trained.normalisation
        scale = [std / other for std, other in zip(ours.std, theirs.std, strict=True)]
        shift = [(m - other) / s for m, other, s in zip(ours.mean, theirs.mean, theirs.std, strict=True)]
        self.scale = torch.tensor(scale, device=device).view(-1, 1, 1)
        self.shift = torch.tensor(shift, device=device).view(-1, 1, 1)

    @torch.no_grad()
    def __call__(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits B x K, float32."""
        logits: torch.Tensor = self.network(images_BCHW.float() * self.scale + self.shift)
        return logits
