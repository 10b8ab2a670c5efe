"""Normalisations: n = (x - mean) / sqrt(variance + eps), then y = n * weight + bias per channel.

They differ only in the values over which mean and variance go. Where these come from x itself, x changes n in three
ways: directly, through the mean and through the variance. With d = sqrt(variance + eps), M values and g = d loss / d n,

    d n[k] / d x[m] = ((1 if k = m else 0) - 1 / M - n[k] * n[m] / M) / d,

and the sum of g[k] times this over k is

    d loss / d x[m] = (g[m] - mean(g) - n[m] * mean(g * n)) / d.
"""

from typing import TypeVar

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.core.errors import CnnlabError
from cnnlab.scratch.reference.layer import Array, Layer

Kind = TypeVar("Kind", bound=L.Normalisation)


class Normalisation(Layer[Kind]):
    """Common part: the formulas above, and scale and shift."""

    def normalise(self, x: Array, mean: Array, variance: Array, eps: float) -> Array:
        """n; keeps it and d."""
        self.deviation = np.sqrt(variance + eps)
        self.normal = (x - mean) / self.deviation
        return self.normal

    def normalise_backward(self, gradient: Array, axes: tuple[int, ...]) -> Array:
        """d loss / d x for g = `gradient`, where mean and variance are those of x over `axes`."""
        mean: Array = gradient.mean(axes, keepdims=True)
        mean_product: Array = (gradient * self.normal).mean(axes, keepdims=True)
        return (gradient - mean - self.normal * mean_product) / self.deviation

    def scale(self, normal: Array) -> Array:
        """n * weight + bias, for n in the shape of x."""
        self.unscaled = normal
        return normal * per_channel(self.weights["weight"], normal) + per_channel(self.weights["bias"], normal)

    def scale_backward(self, gradient: Array) -> Array:
        """d loss / d n; weight and bias of a channel act on all its values, so their gradients are sums over these."""
        others = tuple(axis for axis in range(gradient.ndim) if axis != 1)
        self.gradients["weight"] = (gradient * self.unscaled).sum(others)
        self.gradients["bias"] = gradient.sum(others)
        return gradient * per_channel(self.weights["weight"], gradient)


class BatchNorm(Normalisation[L.BatchNorm]):
    """Per channel, over all images and positions of the batch.

    In evaluation mean and variance are the running ones, constants: then only the direct way is left. As in torch, the
    running variance is the unbiased one (divided by M - 1), and the one in the formula is not.
    """

    def forward(self, x: Array, training: bool) -> Array:
        self.training = training
        self.axes = (0, *range(2, x.ndim))
        if training:
            mean, variance = x.mean(self.axes, keepdims=True), x.var(self.axes, keepdims=True)
            self._record(mean, variance, x.size // x.shape[1])
        else:
            mean, variance = (per_channel(self.weights[f"running_{name}"], x) for name in ("mean", "var"))
        return self.scale(self.normalise(x, mean, variance, self.kind.eps))

    def backward(self, gradient: Array) -> Array:
        gradient_normal = self.scale_backward(gradient)
        if not self.training:
            return gradient_normal / self.deviation
        return self.normalise_backward(gradient_normal, self.axes)

    def _record(self, mean: Array, variance: Array, count: int) -> None:
        if count < 2:
            raise CnnlabError(
                "batch normalisation: received one value per channel in training, expected at least two; "
                "use a larger batch"
            )
        for name, new in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
            old, momentum = self.weights[name], self.kind.momentum
            self.weights[name] = (1 - momentum) * old + momentum * new.reshape(old.shape)
        self.weights["num_batches_tracked"] = self.weights["num_batches_tracked"] + 1


class GroupNorm(Normalisation[L.GroupNorm]):
    """Per image and group of neighbouring channels, over these channels and all positions."""

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        grouped_NGM = x_NCHW.reshape(len(x_NCHW), self.kind.groups, -1)
        mean, variance = grouped_NGM.mean(2, keepdims=True), grouped_NGM.var(2, keepdims=True)
        normal_NGM = self.normalise(grouped_NGM, mean, variance, self.kind.eps)
        return self.scale(normal_NGM.reshape(x_NCHW.shape))

    def backward(self, gradient_NCHW: Array) -> Array:
        gradient_normal_NGM = self.scale_backward(gradient_NCHW).reshape(self.normal.shape)
        return self.normalise_backward(gradient_normal_NGM, (2,)).reshape(gradient_NCHW.shape)


class LayerNorm(Normalisation[L.LayerNorm]):
    """Per image and position, over the channels; of flat data over all features."""

    def forward(self, x: Array, training: bool) -> Array:
        mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        return self.scale(self.normalise(x, mean, variance, self.kind.eps))

    def backward(self, gradient: Array) -> Array:
        return self.normalise_backward(self.scale_backward(gradient), (1,))


def per_channel(values_C: Array, x: Array) -> Array:
    """C values in a shape that multiplies each channel of a map, or each feature of flat data."""
    return values_C.reshape(-1, *(1 for _ in x.shape[2:]))
