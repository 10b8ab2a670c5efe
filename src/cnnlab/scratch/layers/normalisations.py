"""Batch, group and layer normalisation: (x - mean) / sqrt(variance + eps), then scale and shift."""

from typing import cast

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.scratch.layers.base import Array, Layer


class BatchNorm(Layer):
    """Per channel, over the images of the whole batch (of all threads) and all positions.

    Running statistics as torch: the variance divides by one less than the number of values. With one value per
    channel the variance is not defined; torch refuses to train then, and this layer raises ValueError.
    """

    def forward(self, x: Array, training: bool) -> Array:
        kind = cast(L.BatchNorm, self.kind)
        rows = x.reshape(-1, x.shape[-1])
        self.training = training or self.shared.measured > 0
        if self.training:
            mean, variance = self._statistics(rows)
        else:
            mean, variance = self.weights["running_mean"], self.weights["running_var"]
        self.inverse = 1 / np.sqrt(variance + rows.dtype.type(kind.eps))
        self.normal = np.subtract(rows, mean, out=self.array("normal", rows.shape))
        self.normal *= self.inverse
        out = np.multiply(self.normal, self.weights["weight"], out=self.array("out", rows.shape))
        out += self.weights["bias"]
        return out.reshape(x.shape)

    def _statistics(self, rows: Array) -> tuple[Array, Array]:
        channels = rows.shape[1]
        sums = self.shared.total(np.append(rows.sum(axis=0), rows.dtype.type(len(rows))))
        self.count = int(sums[-1])
        if self.count < 2:
            raise ValueError("batch normalisation needs more than one value per channel in training")
        mean = sums[:channels] / rows.dtype.type(self.count)
        centred = np.subtract(rows, mean, out=self.array("normal", rows.shape))
        squares = np.einsum("rc,rc->c", centred, centred)
        variance = self.shared.total(squares) / rows.dtype.type(self.count)
        if self.shared.records:
            self._record(mean, variance)
        return mean, variance

    def _record(self, mean: Array, variance: Array) -> None:
        measured = self.shared.measured
        new = mean.dtype.type(1 / measured if measured else cast(L.BatchNorm, self.kind).momentum)
        for name, value in (("mean", mean), ("var", variance * mean.dtype.type(self.count / (self.count - 1)))):
            running = self.weights[f"running_{name}"]
            running += new * (value - running)
        if not measured:
            self.weights["num_batches_tracked"][...] += 1

    def backward(self, gradient: Array) -> Array:
        rows = gradient.reshape(-1, gradient.shape[-1])
        shift = rows.sum(axis=0)
        scale = np.einsum("rc,rc->c", rows, self.normal)
        for name, value in (("weight", scale), ("bias", shift)):
            if (target := self.weights.gradient(name)) is not None:
                target[...] = value
        factor = self.weights["weight"] * self.inverse
        if not self.training:
            return np.multiply(rows, factor, out=self.array("gradient", rows.shape)).reshape(gradient.shape)
        # The mean and the variance depend on every value, of the other threads too.
        sums = self.shared.total(np.stack([shift, scale])) / rows.dtype.type(self.count)
        out = np.multiply(self.normal, -sums[1], out=self.array("gradient", rows.shape))
        out += rows
        out -= sums[0]
        out *= factor
        return out.reshape(gradient.shape)


class _PerImage(Layer):
    """Common part of normalisations inside one image: the same in training and evaluation."""

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """`x` as a view with groups apart, and the axes over which the statistics go."""
        raise NotImplementedError

    def forward(self, x: Array, training: bool) -> Array:
        grouped, self.axes = self._grouped(x)
        mean = grouped.mean(axis=self.axes, keepdims=True)
        centred = grouped - mean
        variance = np.square(centred).mean(axis=self.axes, keepdims=True)
        self.inverse = 1 / np.sqrt(variance + x.dtype.type(cast(L.GroupNorm | L.LayerNorm, self.kind).eps))
        self.normal = centred * self.inverse
        normal = self.normal.reshape(x.shape)
        return np.add(normal * self.weights["weight"], self.weights["bias"], out=self.array("out", x.shape))

    def backward(self, gradient: Array) -> Array:
        rows = gradient.reshape(-1, gradient.shape[-1])
        if (scale := self.weights.gradient("weight")) is not None:
            scale[...] = np.einsum("rc,rc->c", rows, self.normal.reshape(rows.shape))
        if (shift := self.weights.gradient("bias")) is not None:
            shift[...] = rows.sum(axis=0)
        scaled = self._grouped(gradient * self.weights["weight"])[0]
        mean = scaled.mean(axis=self.axes, keepdims=True)
        along = (scaled * self.normal).mean(axis=self.axes, keepdims=True)
        return ((scaled - mean - self.normal * along) * self.inverse).reshape(gradient.shape)


class GroupNorm(_PerImage):
    """Per image and group of neighbouring channels, over these channels and all positions."""

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x.reshape(*x.shape[:3], cast(L.GroupNorm, self.kind).groups, -1), (0, 1, 4)


class LayerNorm(_PerImage):
    """Per image and position, over the channels; of flat data over all features."""

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x, (-1,)
