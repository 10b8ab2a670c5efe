"""Layers that set random values to 0 in training.

y = x * factor, where the factor is 0 for what is dropped and 1 / (1 - p) for what stays ("inverted dropout"): the mean
of y over all draws is x, and evaluation needs no factor. Backward the same factors multiply the gradient.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import layers as L
from cnnlab.core.errors import CnnlabError
from cnnlab.scratch.reference.layer import Array, Layer

Kind = TypeVar("Kind", L.Dropout, L.DropPath)
Draw = Callable[[tuple[int, ...], float], NDArray[Any]]
"""Shape and probability p of 0 -> what stays, as 0 and 1 or booleans of this shape."""


class Dropping(Layer[Kind]):
    """Common part. `draw` decides what stays; `network.build` sets it."""

    draw: Draw | None = None

    def forward(self, x: Array, training: bool) -> Array:
        p = self.kind.p
        if not training or p == 0:
            self.factor: Array = np.ones(1)
        elif self.draw is None:
            raise CnnlabError(f"{self.kind.name}: received no draws, expected them in training; give build() a `draw`")
        else:
            self.factor = np.asarray(self.draw(self.drawn_shape(x), p), np.float64) / (1 - p)
        return x * self.factor

    def backward(self, gradient: Array) -> Array:
        return gradient * self.factor

    def drawn_shape(self, x: Array) -> tuple[int, ...]:
        """The shape of the factors for `x`."""
        raise NotImplementedError


class Dropout(Dropping[L.Dropout]):
    """Each value alone."""

    def drawn_shape(self, x: Array) -> tuple[int, ...]:
        return x.shape


class DropPath(Dropping[L.DropPath]):
    """All values of an image together."""

    def drawn_shape(self, x: Array) -> tuple[int, ...]:
        return (len(x), *(1 for _ in x.shape[1:]))
