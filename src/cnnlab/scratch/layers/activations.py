"""Activations: a function of single values and its derivative."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.layers.base import Array, Layer, Shared, Weights

Function = Callable[[Any, Array], Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    half = x.dtype.type(0.5)
    out = np.tanh(x * half)
    out += 1
    out *= half
    return out


def hardsigmoid(x: Array) -> Array:
    """min(max(0, x + 3), 6) / 6."""
    return np.clip(x + 3, 0, 6) / x.dtype.type(6)


def hardsigmoid_slope(x: Array) -> Array:
    """1/6 between -3 and 3, else 0."""
    return ((x > -3) & (x < 3)).astype(x.dtype) / x.dtype.type(6)


def _normal_distribution(x: Array) -> Array:
    from scipy.special import erf

    half: Array = x.dtype.type(0.5) * (1 + erf(x * x.dtype.type(math.sqrt(0.5))))
    return half


def _normal_density(x: Array) -> Array:
    return np.exp(-x.dtype.type(0.5) * np.square(x)) * x.dtype.type(1 / math.sqrt(2 * math.pi))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x.dtype.type(0), x)


def _mish_slope(kind: Any, x: Array) -> Array:
    inner = np.tanh(_softplus(x))
    return inner + x * sigmoid(x) * (1 - np.square(inner))


def _swish_slope(kind: Any, x: Array) -> Array:
    gate = sigmoid(x)
    return gate * (1 + x * (1 - gate))


def _hardswish_slope(kind: Any, x: Array) -> Array:
    # As torch at the two corners: 0 at -3, 1 at 3.
    inner = (x * 2 + 3) / x.dtype.type(6)
    return np.where(x <= -3, x.dtype.type(0), np.where(x < 3, inner, x.dtype.type(1)))


FUNCTIONS: dict[type[L.Layer], tuple[Function, Function]] = {
    L.ReLU: (lambda kind, x: np.maximum(x, 0), lambda kind, x: (x > 0).astype(x.dtype)),
    L.LeakyReLU: (
        lambda kind, x: np.where(x > 0, x, x * x.dtype.type(kind.slope)),
        lambda kind, x: np.where(x > 0, x.dtype.type(1), x.dtype.type(kind.slope)),
    ),
    L.ReLU6: (lambda kind, x: np.clip(x, 0, 6), lambda kind, x: ((x > 0) & (x < 6)).astype(x.dtype)),
    L.ELU: (
        lambda kind, x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * x.dtype.type(kind.alpha)),
        lambda kind, x: np.where(x > 0, x.dtype.type(1), np.exp(np.minimum(x, 0)) * x.dtype.type(kind.alpha)),
    ),
    L.Swish: (lambda kind, x: x * sigmoid(x), _swish_slope),
    L.HardSwish: (lambda kind, x: x * hardsigmoid(x), _hardswish_slope),
    L.GELU: (
        lambda kind, x: x * _normal_distribution(x),
        lambda kind, x: _normal_distribution(x) + x * _normal_density(x),
    ),
    L.Mish: (lambda kind, x: x * np.tanh(_softplus(x)), _mish_slope),
    L.Tanh: (lambda kind, x: np.tanh(x), lambda kind, x: 1 - np.square(np.tanh(x))),
    L.Sigmoid: (lambda kind, x: sigmoid(x), lambda kind, x: sigmoid(x) * (1 - sigmoid(x))),
}
"""Layer type -> the function and its derivative; both get the layer's description, for its options, and the input."""


class Activation(Layer):
    """A function of every single value."""

    def __init__(self, kind: L.Layer, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        self.function, self.derivative = FUNCTIONS[type(kind)]

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return self.function(self.kind, x)

    def backward(self, gradient: Array) -> Array:
        slope = self.derivative(self.kind, self.x)
        slope *= gradient
        return slope
