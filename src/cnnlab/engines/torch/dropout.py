"""Dropout with the masks of `engines/dropout.py`, made on the device for a whole batch.

Shape legend: N images of a split, B of a batch, J units of a layer.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.arch.shapes import Shape
from cnnlab.engines.dropout import MULTIPLIERS, RESOLUTION_BITS, SHIFT, SHIFT_MASK, threshold, words


class CountedDropout(nn.Module):
    """Dropout of one layer at `path`, whose input is of `shape`. Until `draw` it drops as `nn.Dropout` does."""

    def __init__(self, p: float, path: str, shape: Shape) -> None:
        super().__init__()
        self.p, self.path, self.shape = p, path, shape
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.mask is None:
            return F.dropout(x, self.p)
        return x * self.mask * (1 / (1 - self.p) if self.p < 1 else 0.0)

    def start_epoch(self, seed: int, epoch: int, order_N: NDArray[np.int64], device: torch.device) -> None:
        """The words of this epoch, those of the images in the order in which it shows them."""
        images_N, units_J = words(seed, self.path, epoch, len(order_N), int(np.prod(self.shape)))
        self._images = torch.from_numpy(images_N[order_N]).to(device)
        units = torch.from_numpy(units_J).to(device).view(1, *self.shape)
        # Laid out as activations are, so that masks come out as they are needed.
        self._units = units.contiguous(memory_format=torch.channels_last) if units.ndim == 4 else units

    def draw(self, start: int, stop: int) -> None:
        """The mask of the images start..stop of the epoch's order."""
        x = self._images[start:stop].view(-1, *(1 for _ in self.shape)) ^ self._units
        x.mul_(MULTIPLIERS[0])
        x.bitwise_xor_((x >> SHIFT).bitwise_and_(SHIFT_MASK))
        x.mul_(MULTIPLIERS[1])
        self.mask = x.bitwise_right_shift_(32 - RESOLUTION_BITS) >= threshold(self.p)
