"""The form in which a network is trained: the layers of the printed network, in an order that runs faster.

Only the torch engine uses it. It shares parameters and buffers with the printed network, so a change of one changes
the other; values and gradients are the same.

Shape legend: N images of a split, B of a batch, J units of a layer.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.arch.layers import Container, Dropout, DropPath, Layer, LeakyReLU, MaxPool, ReLU
from cnnlab.arch.shapes import Shape
from cnnlab.engines.dropout import RESOLUTION_BITS, threshold, words
from cnnlab.engines.torch.counter import hashed_
from cnnlab.engines.torch.modules import ContainerModule


def fast(model: nn.Sequential, layers: Sequence[Layer], shape: Shape, prefix: str = "") -> nn.Sequential:
    """The printed network of `layers` for inputs of `shape`, with dropout by counter and pooling before activations."""
    modules: list[tuple[str, nn.Module]] = []
    for (name, module), layer in zip(model.named_children(), layers, strict=True):
        path = f"{prefix}{name}"
        if isinstance(layer, Dropout):
            module = CountedDropout(layer.p, path, shape)
        elif isinstance(layer, DropPath):
            module = CountedDropout(layer.p, path, tuple(1 for _ in shape))
        elif isinstance(module, ContainerModule):
            assert isinstance(layer, Container)
            children = {part: module.get_submodule(part) for part in layer.written}
            parts = {
                part: fast(child, layer.written[part], shape, f"{path}.{part}.")
                for part, child in children.items()
                if isinstance(child, nn.Sequential)
            }
            module = module.with_parts(parts)
        modules.append((name, module))
        shape = layer.output_shape(shape)
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, ReLU | LeakyReLU) and isinstance(second, MaxPool):
            # Increasing functions and maxima commute: the same values and gradients, on a quarter of the numbers.
            modules[index], modules[index + 1] = modules[index + 1], modules[index]
    return nn.Sequential(OrderedDict(modules))


class CountedDropout(nn.Module):
    """Dropout with the masks of `engines/dropout.py`, computed on the device for a whole batch.

    `path` is the layer's path and `shape` that of its units: of the input, or of ones where values share a unit. Before
    the first `draw` it works as `nn.Dropout`.
    """

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
        """Compute the words of this epoch, those of the images in its order."""
        images_N, units_J = words(seed, self.path, epoch, len(order_N), int(np.prod(self.shape)))
        self._images = torch.from_numpy(images_N[order_N]).to(device)
        units = torch.from_numpy(units_J).to(device).view(1, *self.shape)
        # The memory layout of activations, so that masks have it too.
        self._units = units.contiguous(memory_format=torch.channels_last) if units.ndim == 4 else units

    def draw(self, start: int, stop: int) -> None:
        """Compute the mask of the images start..stop of the epoch's order."""
        x = hashed_(self._images[start:stop].view(-1, *(1 for _ in self.shape)) ^ self._units)
        self.mask = x.bitwise_right_shift_(32 - RESOLUTION_BITS) >= threshold(self.p)
