"""Convolutions and linear layers."""

from typing import cast

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape, Window
from cnnlab.scratch.kernels.base import Convolution, Geometry
from cnnlab.scratch.kernels.choose import convolution
from cnnlab.scratch.layers.base import Array, Layer, Shared, Weights


class _OneConvolution:
    """One convolution with its memory for output and gradient."""

    def __init__(self, geometry: Geometry, weights: Weights, shared: Shared) -> None:
        self.weights, self.shared, self.geometry = weights, shared, geometry
        self.kernel: Convolution = convolution(geometry, shared.memory, shared.dtype)

    def _memory(self, name: str, shape: tuple[int, ...]) -> Array:
        return self.shared.memory.array(f"{self.weights.path}{name}", shape, self.shared.dtype)

    def forward(self, x: Array) -> Array:
        height, width = self.geometry.out_height, self.geometry.out_width
        self.x = x
        out = self._memory("out", (height, width, x.shape[2], self.geometry.filters))
        self.kernel.forward(x, self.weights["weight"], self.weights.get("bias"), out)
        return out

    def backward_weight(self, gradient: Array) -> None:
        weight = self.weights.gradient("weight")
        if weight is not None:
            self.kernel.backward_weight(self.x, gradient, weight, self.weights.gradient("bias"))

    def backward_input(self, gradient: Array) -> Array:
        out = self._memory("gradient", self.x.shape)
        self.kernel.backward_input(gradient, self.weights["weight"], out)
        return out


def _geometry(shape: Shape, window: Window, filters: int, groups: int) -> Geometry:
    channels, height, width = shape
    return Geometry(height, width, channels, filters, window.kernel, window.stride, window.pad, groups)


class Conv(Layer):
    """out[y, x, n, o] = bias[o] + sum over i, j, c of in[y s + i, x s + j, n, c] * weight[o, i, j, c]."""

    def __init__(self, kind: L.Conv, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        self.convolution = _OneConvolution(_geometry(shape, kind.window, kind.channels, kind.groups), weights, shared)

    def forward(self, x: Array, training: bool) -> Array:
        return self.convolution.forward(x)

    def backward(self, gradient: Array) -> Array:
        self.convolution.backward_weight(gradient)
        return gradient if self.is_first else self.convolution.backward_input(gradient)


class SepConv(Layer):
    """Each channel alone, then a 1x1 convolution over all channels."""

    def __init__(self, kind: L.SepConv, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        channels = shape[0]
        each = _geometry(shape, kind.window, channels, channels)
        mixed = Geometry(*kind.window.slide(shape), channels, kind.channels, (1, 1), (1, 1), (0, 0), 1)
        self.depthwise = _OneConvolution(each, weights.inside("depthwise"), shared)
        self.pointwise = _OneConvolution(mixed, weights.inside("pointwise"), shared)

    def forward(self, x: Array, training: bool) -> Array:
        return self.pointwise.forward(self.depthwise.forward(x))

    def backward(self, gradient: Array) -> Array:
        self.pointwise.backward_weight(gradient)
        between = self.pointwise.backward_input(gradient)
        self.depthwise.backward_weight(between)
        return between if self.is_first else self.depthwise.backward_input(between)


class Linear(Layer):
    """out = x @ weight.T + bias, for flat data n x F."""

    def forward(self, x: Array, training: bool) -> Array:
        kind = cast(L.Linear, self.kind)
        self.x = x
        out = np.matmul(x, self.weights["weight"].T, out=self.array("out", (len(x), kind.features)))
        bias = self.weights.get("bias")
        return out if bias is None else np.add(out, bias, out=out)

    def backward(self, gradient: Array) -> Array:
        weight, bias = self.weights.gradient("weight"), self.weights.gradient("bias")
        if weight is not None:
            np.matmul(gradient.T, self.x, out=weight)
        if bias is not None:
            np.sum(gradient, axis=0, out=bias)
        return np.matmul(gradient, self.weights["weight"], out=self.array("gradient", self.x.shape))
