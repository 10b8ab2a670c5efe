"""Layers that arrange or weight whole channels.

What only moves values moves their gradients back; a value that is left out has the gradient 0.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.scratch.reference.activations import ACTIVATIONS, HardSigmoid, Sigmoid
from cnnlab.scratch.reference.layer import Array, Chain, Layer, inside
from cnnlab.scratch.reference.pooling import GlobalAvgPool
from cnnlab.scratch.reference.weighted import Linear


class Identity(Layer[L.Identity]):
    """The input itself."""

    def forward(self, x: Array, training: bool) -> Array:
        return x

    def backward(self, gradient: Array) -> Array:
        return gradient


class Flatten(Layer[L.Flatten]):
    """C x H x W becomes C * H * W features."""

    def forward(self, x: Array, training: bool) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, gradient_NF: Array) -> Array:
        return gradient_NF.reshape(self.shape)


class Scale(Layer[L.Scale]):
    """x times a fixed number."""

    def forward(self, x: Array, training: bool) -> Array:
        return x * self.kind.factor

    def backward(self, gradient: Array) -> Array:
        return gradient * self.kind.factor


class Shuffle(Layer[L.Shuffle]):
    """Channel g * (C / groups) + i moves to i * groups + g; backward it moves from there to its old place."""

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        size = x_NCHW.shape[1] // self.kind.groups
        self.sources = [group * size + index for index in range(size) for group in range(self.kind.groups)]
        return x_NCHW[:, self.sources]

    def backward(self, gradient_NCHW: Array) -> Array:
        gradient_x = np.empty_like(gradient_NCHW)
        gradient_x[:, self.sources] = gradient_NCHW
        return gradient_x


class Split(Layer[L.Split]):
    """One of several equal parts of the channels."""

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.shape = x_NCHW.shape
        size = x_NCHW.shape[1] // self.kind.parts
        self.channels = slice((self.kind.part - 1) * size, self.kind.part * size)
        return x_NCHW[:, self.channels]

    def backward(self, gradient_NCHW: Array) -> Array:
        gradient_x = np.zeros(self.shape)
        gradient_x[:, self.channels] = gradient_NCHW
        return gradient_x


class SqueezeExcite(Layer[L.SqueezeExcite]):
    """y = x * factor(x), with one factor per image and channel: mean | linear | activation | linear | gate.

    By the product rule x gets two gradients, which add up: as what is multiplied, and as what the factor comes from.
    """

    def __init__(self, kind: L.SqueezeExcite, weights: Mapping[str, Array]) -> None:
        activation = L.ACTIVATIONS[kind.activation]()
        squeeze, excite = L.Linear(kind.hidden), L.Linear(len(weights["excite.weight"]))
        parts: dict[str, Layer[Any]] = {
            "mean": GlobalAvgPool(L.GlobalAvgPool()),
            "squeeze": Linear(squeeze, inside(weights, "squeeze")),
            "activation": ACTIVATIONS[type(activation)](activation),
            "excite": Linear(excite, inside(weights, "excite")),
            "gate": HardSigmoid(None) if kind.gate == "hardsigmoid" else Sigmoid(L.Sigmoid()),
        }
        super().__init__(kind, parts=parts)
        self.factor = Chain(parts)

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.x_NCHW = x_NCHW
        self.factor_NC = self.factor.forward(x_NCHW, training)
        return x_NCHW * self.factor_NC[:, :, None, None]

    def backward(self, gradient_NCHW: Array) -> Array:
        gradient_factor_NC = (gradient_NCHW * self.x_NCHW).sum(axis=(2, 3))
        return gradient_NCHW * self.factor_NC[:, :, None, None] + self.factor.backward(gradient_factor_NC)
