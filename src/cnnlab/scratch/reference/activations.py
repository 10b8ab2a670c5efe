"""Activations: y = f(x) of each value alone, so that d loss / d x = d loss / d y * f'(x).

`value` is f and `slope` is f'. Where f has a corner, such as ReLU at 0, f' does not exist; any slope between those of
both sides works in practice, and torch's is used here.
"""

import math
from typing import Any, TypeVar

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.scratch.reference.layer import Array, Layer

Kind = TypeVar("Kind")


class Activation(Layer[Kind]):
    """Common part of all activations."""

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return self.value(x)

    def backward(self, gradient: Array) -> Array:
        return gradient * self.slope(self.x)

    def value(self, x: Array) -> Array:
        """f(x)."""
        raise NotImplementedError

    def slope(self, x: Array) -> Array:
        """f'(x)."""
        raise NotImplementedError


class ReLU(Activation[L.ReLU]):
    """max(0, x)."""

    def value(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def slope(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, 0.0)


class LeakyReLU(Activation[L.LeakyReLU]):
    """x where x > 0, else slope * x."""

    def value(self, x: Array) -> Array:
        return np.where(x > 0, x, self.kind.slope * x)

    def slope(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, self.kind.slope)


class ReLU6(Activation[L.ReLU6]):
    """min(max(0, x), 6)."""

    def value(self, x: Array) -> Array:
        return np.clip(x, 0, 6)

    def slope(self, x: Array) -> Array:
        return np.where((x > 0) & (x < 6), 1.0, 0.0)


class ELU(Activation[L.ELU]):
    """x where x > 0, else alpha * (exp(x) - 1)."""

    def value(self, x: Array) -> Array:
        return np.where(x > 0, x, self.kind.alpha * np.expm1(np.minimum(x, 0)))

    def slope(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, self.kind.alpha * np.exp(np.minimum(x, 0)))


class Sigmoid(Activation[L.Sigmoid]):
    """s(x) = 1 / (1 + exp(-x)); s' = s * (1 - s)."""

    def value(self, x: Array) -> Array:
        return sigmoid(x)

    def slope(self, x: Array) -> Array:
        return sigmoid(x) * sigmoid(-x)  # 1 - s(x) = s(-x), without rounding


class Tanh(Activation[L.Tanh]):
    """tanh' = 1 - tanh^2."""

    def value(self, x: Array) -> Array:
        return np.tanh(x)

    def slope(self, x: Array) -> Array:
        return 1 - np.tanh(x) ** 2


class Swish(Activation[L.Swish]):
    """x * s(x) with the sigmoid s; by the product rule its slope is s + x * s * (1 - s)."""

    def value(self, x: Array) -> Array:
        return x * sigmoid(x)

    def slope(self, x: Array) -> Array:
        return sigmoid(x) + x * sigmoid(x) * sigmoid(-x)


class GELU(Activation[L.GELU]):
    """x * Phi(x) with the normal distribution function Phi; its slope is Phi + x * phi with the normal density phi."""

    def value(self, x: Array) -> Array:
        return x * self._distribution(x)

    def slope(self, x: Array) -> Array:
        density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return self._distribution(x) + x * density

    def _distribution(self, x: Array) -> Array:
        erf: Array = np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))
        return (1 + erf) / 2


class Mish(Activation[L.Mish]):
    """x * tanh(softplus(x)) with softplus(x) = log(1 + exp(x)), whose slope is the sigmoid.

    With t = tanh(softplus(x)) the product rule and the chain rule give t + x * (1 - t^2) * sigmoid(x).
    """

    def value(self, x: Array) -> Array:
        return x * np.tanh(np.logaddexp(0, x))

    def slope(self, x: Array) -> Array:
        t: Array = np.tanh(np.logaddexp(0, x))
        return t + x * (1 - t * t) * sigmoid(x)


class HardSigmoid(Activation[None]):
    """min(max(0, x + 3), 6) / 6, a gate of squeeze-and-excitation."""

    def value(self, x: Array) -> Array:
        return hard_sigmoid(x)

    def slope(self, x: Array) -> Array:
        return np.where((x > -3) & (x < 3), 1 / 6, 0.0)


class HardSwish(Activation[L.HardSwish]):
    """x * hardsigmoid(x): 0 up to -3, x * (x + 3) / 6 between, x from 3 on."""

    def value(self, x: Array) -> Array:
        return x * hard_sigmoid(x)

    def slope(self, x: Array) -> Array:
        return np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 1 / 2, 1.0))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow and exact for large negative x too."""
    decay: Array = np.exp(-np.abs(x))
    return np.divide(np.where(x >= 0, 1.0, decay), 1 + decay)


def hard_sigmoid(x: Array) -> Array:
    """The sigmoid as three straight lines."""
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


ACTIVATIONS: dict[type[L.Layer], type[Activation[Any]]] = {
    L.ReLU: ReLU,
    L.LeakyReLU: LeakyReLU,
    L.ReLU6: ReLU6,
    L.ELU: ELU,
    L.Swish: Swish,
    L.HardSwish: HardSwish,
    L.GELU: GELU,
    L.Mish: Mish,
    L.Tanh: Tanh,
    L.Sigmoid: Sigmoid,
}
"""Type of the architecture language -> class here."""
