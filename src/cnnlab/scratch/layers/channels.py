"""Layers that arrange or weight whole channels, without a window."""

from typing import cast

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.layers.activations import Activation, hardsigmoid, hardsigmoid_slope, sigmoid
from cnnlab.scratch.layers.base import Array, Layer, Shared, Weights
from cnnlab.scratch.layers.weighted import Linear


class Identity(Layer):
    """The input itself."""

    def forward(self, x: Array, training: bool) -> Array:
        return x

    def backward(self, gradient: Array) -> Array:
        return gradient


class Flatten(Layer):
    """H x W x n x C becomes n x F with torch's order of features: C, H, W."""

    def forward(self, x: Array, training: bool) -> Array:
        self.was_map = x.ndim == 4
        if not self.was_map:
            return x
        height, width, images, channels = x.shape
        out = self.array("out", (images, channels, height, width))
        out[...] = x.transpose(2, 3, 0, 1)
        return out.reshape(images, -1)

    def backward(self, gradient: Array) -> Array:
        if not self.was_map:
            return gradient
        channels, height, width = self.shape
        out = self.array("gradient", (height, width, len(gradient), channels))
        out[...] = gradient.reshape(-1, *self.shape).transpose(2, 3, 0, 1)
        return out


class Scale(Layer):
    """Every value times a fixed number."""

    def forward(self, x: Array, training: bool) -> Array:
        return x * x.dtype.type(cast(L.Scale, self.kind).factor)

    def backward(self, gradient: Array) -> Array:
        return gradient * gradient.dtype.type(cast(L.Scale, self.kind).factor)


class Shuffle(Layer):
    """Channel g * (C / groups) + i moves to i * groups + g."""

    def _interleaved(self, x: Array, groups: int) -> Array:
        return np.swapaxes(x.reshape(*x.shape[:3], groups, -1), 3, 4).reshape(x.shape)

    def forward(self, x: Array, training: bool) -> Array:
        return self._interleaved(x, cast(L.Shuffle, self.kind).groups)

    def backward(self, gradient: Array) -> Array:
        return self._interleaved(gradient, self.shape[0] // cast(L.Shuffle, self.kind).groups)


class Split(Layer):
    """One of equal groups of neighbouring channels."""

    def __init__(self, kind: L.Split, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        size = shape[0] // kind.parts
        self.channels = slice((kind.part - 1) * size, kind.part * size)

    def forward(self, x: Array, training: bool) -> Array:
        return np.ascontiguousarray(x[..., self.channels])

    def backward(self, gradient: Array) -> Array:
        out = self.array("gradient", (*gradient.shape[:3], self.shape[0]))
        out[...] = 0
        out[..., self.channels] = gradient
        return out


class SqueezeExcite(Layer):
    """Each channel times a factor: mean of each channel | linear | activation | linear | gate."""

    def __init__(self, kind: L.SqueezeExcite, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        middle = L.ACTIVATIONS[kind.activation]()
        self.squeeze = Linear(L.Linear(kind.hidden), shape[:1], weights.inside("squeeze"), shared)
        self.activation = Activation(middle, (kind.hidden,), weights, shared)
        self.excite = Linear(L.Linear(shape[0]), (kind.hidden,), weights.inside("excite"), shared)

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        hidden = self.activation.forward(self.squeeze.forward(x.mean(axis=(0, 1)), training), training)
        self.before = self.excite.forward(hidden, training)
        self.gate = sigmoid(self.before) if self._smooth else hardsigmoid(self.before)
        return x * self.gate

    @property
    def _smooth(self) -> bool:
        return cast(L.SqueezeExcite, self.kind).gate == "sigmoid"

    def backward(self, gradient: Array) -> Array:
        slope = self.gate * (1 - self.gate) if self._smooth else hardsigmoid_slope(self.before)
        of_gate = np.einsum("hwnc,hwnc->nc", gradient, self.x) * slope
        of_mean = self.squeeze.backward(self.activation.backward(self.excite.backward(of_gate)))
        out = gradient * self.gate
        out += of_mean / gradient.dtype.type(self.x.shape[0] * self.x.shape[1])
        return out
