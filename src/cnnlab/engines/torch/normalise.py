"""Normalisation as a module, for whole images: what a prediction, an export and a `DataLoader` apply.

A training batch, packed as its split lies on the device, has a form of its own (`resident.Normaliser`).
"""

import torch
from torch import Tensor, nn

from cnnlab.engines.normalisation import Normalisation


class Normalise(nn.Module):
    """Pixels 0..`levels`, ... x C x H x W, to what the network sees."""

    def __init__(self, values: Normalisation, levels: int) -> None:
        super().__init__()
        scale, shift = values.affine(levels)
        self.scale = nn.Buffer(torch.tensor(scale).view(-1, 1, 1), persistent=False)
        self.shift = nn.Buffer(torch.tensor(shift).view(-1, 1, 1), persistent=False)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        return pixels_NCHW * self.scale + self.shift
