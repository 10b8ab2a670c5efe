"""A network with its normalisation built in, as it is exported and timed.

Shape legend: N images, C channels, H x W pixels, K classes.
"""

import copy

import torch
from torch import Tensor, nn

from cnnlab.deploy.predictor import Predictor


class FromPixels(nn.Module):
    """Pixels 0..1, N x C x H x W, to logits N x K, by a copy of a predictor's network."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.model = copy.deepcopy(predictor.model)
        self.mean = nn.Buffer(torch.tensor(predictor.normalisation.mean).view(-1, 1, 1))
        self.std = nn.Buffer(torch.tensor(predictor.normalisation.std).view(-1, 1, 1))
        self.eval()

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.model((pixels_NCHW - self.mean) / self.std)
        return logits_NK
