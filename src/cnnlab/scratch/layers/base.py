"""What every layer of the from-scratch engine has, and what the layers of one network share.

Shapes: n images, C channels, maps of H x W, F features. Maps are H x W x n x C, so that a shift of the map is a
contiguous slice; flat data are n x F. Weights of convolutions are K x kh x kw x C / groups.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.memory import Memory
from cnnlab.scratch.parameters import Array

__all__ = ["Array", "Layer", "Shared", "Weights", "channels_last"]


def _alone(sums: Array) -> Array:
    return sums


@dataclass
class Shared:
    """What the layers of one network share.

    `total` adds an array over all threads that hold a part of the batch; with one thread it returns it unchanged.
    `kept` gives the mask n x units (in torch's order C, H, W; one unit for a whole image) of the dropout layer at a
    path; layers ask it in training only. `records`: whether batch normalisations update their running statistics;
    `records_wanted` is the same for the whole network, of whose threads one records. `measured`: above 0, batch
    normalisations record the mean of so many batches, in evaluation too.
    """

    dtype: np.dtype[Any]
    memory: Memory = field(default_factory=Memory)
    total: Callable[[Array], Array] = _alone
    kept: Callable[[str, int, float], Array] | None = None
    records: bool = True
    records_wanted: bool = True
    measured: int = 0


@dataclass(frozen=True)
class Weights:
    """The arrays of one layer and their gradients, by the rest of their torch names.

    `backward` overwrites the gradients; it does not add to them.
    """

    values: Mapping[str, Array]
    gradients: Mapping[str, Array]
    path: str = ""

    def __getitem__(self, name: str) -> Array:
        return self.values[self.path + name]

    def get(self, name: str) -> Array | None:
        """The array, or None for a layer without it."""
        return self.values.get(self.path + name)

    def gradient(self, name: str) -> Array | None:
        """Where its gradient belongs, or None for a layer without the array."""
        return self.gradients.get(self.path + name)

    def inside(self, name: str) -> "Weights":
        """Those of a layer or part inside this one."""
        return Weights(self.values, self.gradients, f"{self.path}{name}.")


class Layer:
    """Base of all layers. `shape`: of the input, C x H x W or F, without the images.

    `forward` keeps what `backward` needs until the next `forward`. `backward` receives the gradient of the loss for
    the output and returns that for the input; it may return an array that the next call overwrites, and it never
    changes what it receives.
    """

    is_first = False
    """Of a network: its input are the images, and nobody asks for their gradient; `backward` may return anything."""

    def __init__(self, kind: L.Layer, shape: Shape, weights: Weights, shared: Shared) -> None:
        self.kind, self.shape, self.weights, self.shared = kind, shape, weights, shared

    def forward(self, x: Array, training: bool) -> Array:
        """The output for `x`."""
        raise NotImplementedError

    def backward(self, gradient: Array) -> Array:
        """The gradient for the input of the last `forward`."""
        raise NotImplementedError

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Memory of this layer alone, the same in every step."""
        return self.shared.memory.array(f"{self.weights.path}{name}", shape, dtype or self.shared.dtype)


def channels_last(values: Array, shape: Shape) -> Array:
    """n x units in torch's order as the layout of the engine for one image's `shape`: H x W x n x C, or n x F."""
    return values.reshape(len(values), *shape).transpose(2, 3, 0, 1) if len(shape) == 3 else values
