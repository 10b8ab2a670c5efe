"""Linear layers and convolutions: every output is a weighted sum of inputs, plus a bias.

If y = sum of w * x, then d y / d x = w and d y / d w = x: each gets the other one times the gradient of y, summed over
all y in which it occurs. In each `einsum` below the gradient of a factor has the formula of the forward pass with that
factor and the output exchanged.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.scratch.reference.layer import Array, Chain, Layer, inside
from cnnlab.scratch.reference.windows import fold, unfold


class Linear(Layer[L.Linear]):
    """y[n, o] = sum over f of x[n, f] * weight[o, f], plus bias[o]."""

    def forward(self, x_NF: Array, training: bool) -> Array:
        self.x_NF = x_NF
        y_NO: Array = _product("nf,of->no", x_NF, self.weights["weight"])
        return y_NO + self.weights["bias"] if "bias" in self.weights else y_NO

    def backward(self, gradient_NO: Array) -> Array:
        self.gradients["weight"] = _product("no,nf->of", gradient_NO, self.x_NF)
        if "bias" in self.weights:
            self.gradients["bias"] = gradient_NO.sum(axis=0)
        return _product("no,of->nf", gradient_NO, self.weights["weight"])


class Conv(Layer[L.Conv]):
    """y[n, o, y, x] = sum over c, i, j of window[n, c, y, x, i, j] * weight[o, c, i, j], plus bias[o].

    With groups the channels, in and out, are divided into equal parts, and each part is a convolution of its own.
    """

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.shape = x_NCHW.shape[1:]
        self.windows = np.split(unfold(x_NCHW, self.kind.window, padding=0), self.kind.groups, axis=1)
        kernels = np.split(self.weights["weight"], self.kind.groups)
        y_NOYX = np.concatenate(
            [_product("ncyxij,ocij->noyx", *group) for group in zip(self.windows, kernels, strict=True)], axis=1
        )
        return y_NOYX + self.weights["bias"][:, None, None] if "bias" in self.weights else y_NOYX

    def backward(self, gradient_NOYX: Array) -> Array:
        gradients = np.split(gradient_NOYX, self.kind.groups, axis=1)
        kernels = np.split(self.weights["weight"], self.kind.groups)
        self.gradients["weight"] = np.concatenate(
            [_product("noyx,ncyxij->ocij", *group) for group in zip(gradients, self.windows, strict=True)]
        )
        if "bias" in self.weights:
            self.gradients["bias"] = gradient_NOYX.sum(axis=(0, 2, 3))
        gradient_windows = np.concatenate(
            [_product("noyx,ocij->ncyxij", *group) for group in zip(gradients, kernels, strict=True)], axis=1
        )
        return fold(gradient_windows, self.kind.window, self.shape)


class SepConv(Layer[L.SepConv]):
    """A convolution of each channel alone (as many groups as channels), then a 1x1 convolution over all channels."""

    def __init__(self, kind: L.SepConv, weights: Mapping[str, Array]) -> None:
        channels = len(weights["depthwise.weight"])
        depthwise = L.Conv(kind.kernel, channels, kind.stride, kind.pad, groups=channels, bias=False)
        pointwise = L.Conv(1, kind.channels, bias=kind.bias)
        parts: dict[str, Layer[Any]] = {
            "depthwise": Conv(depthwise, inside(weights, "depthwise")),
            "pointwise": Conv(pointwise, inside(weights, "pointwise")),
        }
        super().__init__(kind, parts=parts)
        self.chain = Chain(parts)

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        return self.chain.forward(x_NCHW, training)

    def backward(self, gradient_NCYX: Array) -> Array:
        return self.chain.backward(gradient_NCYX)


def _product(formula: str, a: Array, b: Array) -> Array:
    """The sum of products that the formula states; `optimize` lets NumPy use a matrix product for it."""
    result: Array = np.einsum(formula, a, b, optimize=True)
    return result
