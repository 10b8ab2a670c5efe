"""Pooling: windows or whole maps become one value."""

from collections.abc import Iterator

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.layers.base import Array, Layer, Shared, Weights

Slices = tuple[slice, slice]


class _Windows(Layer):
    """For each position inside the window: which outputs read an input there, and which inputs they read."""

    def __init__(self, kind: L.MaxPool | L.AvgPool, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        self.window = kind.window
        self.out_sides = kind.window.slide(shape)
        self.taps = list(self._taps())

    def _taps(self) -> Iterator[tuple[Slices, Slices]]:
        kernel = self.window.kernel
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                sides = [self._side(axis, offset) for axis, offset in enumerate((row, column))]
                if all(sides):
                    outputs, inputs = zip(*[side for side in sides if side], strict=True)
                    yield outputs, inputs

    def _side(self, axis: int, offset: int) -> tuple[slice, slice] | None:
        """(outputs, inputs) of one side whose window position `offset` lies within the map."""
        length, step, pad = self.shape[axis + 1], self.window.stride[axis], self.window.pad[axis]
        first = max(0, -((offset - pad) // step))
        last = min(self.out_sides[axis] - 1, (length - 1 + pad - offset) // step)
        if last < first:
            return None
        begin = first * step + offset - pad
        return slice(first, last + 1), slice(begin, begin + (last - first) * step + 1, step)


class MaxPool(_Windows):
    """The largest value of each window; at ties the first, row by row, has the gradient, and NaN wins, as in torch."""

    def forward(self, x: Array, training: bool) -> Array:
        out = self.array("out", (*self.out_sides, *x.shape[2:]))
        out[...] = -np.inf
        for outputs, inputs in self.taps:
            np.maximum(out[outputs], x[inputs], out=out[outputs])
        self.x, self.out = x, out
        return out

    def backward(self, gradient: Array) -> Array:
        result = self.array("gradient", self.x.shape)
        result[...] = 0
        free = np.ones(self.out.shape, np.bool_)
        for outputs, inputs in self.taps:
            here = self.x[inputs] == self.out[outputs]
            here &= free[outputs]
            free[outputs] &= ~here
            result[inputs] += gradient[outputs] * here
        return result


class AvgPool(_Windows):
    """The mean of each window; zeros of the padding count, positions beyond the padding (`ceil`) do not."""

    def __init__(self, kind: L.AvgPool, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        counts = [self._counts(axis) for axis in (0, 1)]
        self.share = (1 / np.outer(*counts))[:, :, None, None].astype(shared.dtype)

    def _counts(self, axis: int) -> Array:
        """How many positions of each window lie within map and padding."""
        kernel, step, pad = (side[axis] for side in (self.window.kernel, self.window.stride, self.window.pad))
        begins = np.arange(self.out_sides[axis]) * step
        ends: Array = np.minimum(begins + kernel, self.shape[axis + 1] + 2 * pad)
        return ends - begins

    def forward(self, x: Array, training: bool) -> Array:
        out = self.array("out", (*self.out_sides, *x.shape[2:]))
        out[...] = 0
        for outputs, inputs in self.taps:
            out[outputs] += x[inputs]
        out *= self.share
        return out

    def backward(self, gradient: Array) -> Array:
        shared = gradient * self.share
        result = self.array("gradient", (*self.shape[1:], *gradient.shape[2:]))
        result[...] = 0
        for outputs, inputs in self.taps:
            result[inputs] += shared[outputs]
        return result


class GlobalAvgPool(Layer):
    """Mean of each channel: H x W x n x C becomes n x C."""

    def forward(self, x: Array, training: bool) -> Array:
        return x.mean(axis=(0, 1))

    def backward(self, gradient: Array) -> Array:
        _, height, width = self.shape
        out = self.array("gradient", (height, width, *gradient.shape))
        out[...] = gradient / gradient.dtype.type(height * width)
        return out
