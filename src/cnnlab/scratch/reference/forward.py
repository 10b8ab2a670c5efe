"""The forward pass of a trained network in NumPy, float64: one short function for each layer of the language.

Slow and plain on purpose. It computes what a network does in evaluation: dropout changes nothing, and batch
normalisation uses its running statistics.

Shapes: N images, C channels, H height, W width, F features, kh x kw kernel; G groups. Weights have torch's names and
axes: a convolution's weight is (out, in / groups, kh, kw).
"""

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import layers as L
from cnnlab.arch.layers.base import numbered

Array = NDArray[np.float64]


class Weights:
    """The arrays of one layer and of the layers in it, by the rest of their name."""

    def __init__(self, arrays: Mapping[str, Array], path: str = "") -> None:
        self.arrays, self.path = arrays, path

    def __getitem__(self, name: str) -> Array:
        return self.arrays[f"{self.path}{name}"]

    def get(self, name: str) -> Array | None:
        """The array, or None for a layer without it."""
        return self.arrays.get(f"{self.path}{name}")

    def inside(self, name: str) -> "Weights":
        """Those of a layer or part inside this one."""
        return Weights(self.arrays, f"{self.path}{name}.")


def forward(layers: L.Layers, images_NCHW: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Array:
    """The output for normalised images. `arrays` has every array that the architecture's trace names."""
    exact = {name: np.asarray(values, np.float64) for name, values in arrays.items()}
    return _chain(numbered(layers), np.asarray(images_NCHW, np.float64), Weights(exact))


def _chain(layers: Mapping[str, L.Layer], x: Array, weights: Weights) -> Array:
    for name, layer in layers.items():
        x = FORWARD[type(layer)](layer, x, weights.inside(name))
    return x


def _windows(layer: L.Layer, x: Array, padding: float) -> tuple[Array, Array]:
    """(N, C, out H, out W, kh, kw) values of all windows, and how many of each lie within map and padding."""
    assert layer.window is not None
    (kh, kw), (down, right), (top, left), _ = layer.window
    height, width = layer.window.slide(x.shape[1:])
    # Rows and columns that a window cut by the border needs beyond the padding; without `ceil` there are none.
    below = max(0, (height - 1) * down + kh - x.shape[2] - 2 * top)
    beyond = max(0, (width - 1) * right + kw - x.shape[3] - 2 * left)
    padded = np.pad(x, ((0, 0), (0, 0), (top, top + below), (left, left + beyond)), constant_values=padding)
    inside = np.zeros(padded.shape[2:])
    inside[: x.shape[2] + 2 * top, : x.shape[3] + 2 * left] = 1
    values = np.empty((*x.shape[:2], height, width, kh, kw))
    counts = np.empty((height, width))
    for row, column in product(range(height), range(width)):
        rows = slice(row * down, row * down + kh)
        columns = slice(column * right, column * right + kw)
        values[:, :, row, column] = padded[:, :, rows, columns]
        counts[row, column] = inside[rows, columns].sum()
    return values, counts


def _convolve(layer: L.Layer, x: Array, weight: Array, bias: Array | None, groups: int) -> Array:
    """out[n, o, y, x] = sum over c, i, j of window[n, c, y, x, i, j] * weight[o, c, i, j], within each group."""
    values, _ = _windows(layer, x, 0)
    grouped = zip(np.split(values, groups, axis=1), np.split(weight, groups), strict=True)
    out = np.concatenate([np.einsum("ncyxij,ocij->noyx", part, kernel) for part, kernel in grouped], axis=1)
    return out if bias is None else np.add(out, bias[:, None, None])


def _conv(layer: L.Conv, x: Array, weights: Weights) -> Array:
    return _convolve(layer, x, weights["weight"], weights.get("bias"), layer.groups)


def _sepconv(layer: L.SepConv, x: Array, weights: Weights) -> Array:
    each = _convolve(layer, x, weights["depthwise.weight"], None, x.shape[1])
    mixed: Array = np.einsum("ncyx,oc->noyx", each, weights["pointwise.weight"][:, :, 0, 0])
    bias = weights.get("pointwise.bias")
    return mixed if bias is None else mixed + bias[:, None, None]


def _linear(layer: L.Linear, x_NF: Array, weights: Weights) -> Array:
    out: Array = x_NF @ weights["weight"].T
    bias = weights.get("bias")
    return out if bias is None else out + bias


def _normalise(x: Array, mean: Array, variance: Array, eps: float, weights: Weights) -> Array:
    """(x - mean) / sqrt(variance + eps) * scale + shift, with one scale and shift per channel."""
    per_channel = (-1, *(1 for _ in x.shape[2:]))
    normal = (x - mean) / np.sqrt(variance + eps)
    scale, shift = (weights[name].reshape(per_channel) for name in ("weight", "bias"))
    return np.add(normal * scale, shift)


def _batch_norm(layer: L.BatchNorm, x: Array, weights: Weights) -> Array:
    per_channel = (-1, *(1 for _ in x.shape[2:]))
    mean, variance = (weights[f"running_{name}"].reshape(per_channel) for name in ("mean", "var"))
    return _normalise(x, mean, variance, layer.eps, weights)


def _group_norm(layer: L.GroupNorm, x_NCHW: Array, weights: Weights) -> Array:
    grouped_NGX = x_NCHW.reshape(len(x_NCHW), layer.groups, -1)
    spread = x_NCHW.shape[1] // layer.groups
    mean, variance = (
        np.repeat(value, spread, axis=1)[:, :, None, None] for value in (grouped_NGX.mean(2), grouped_NGX.var(2))
    )
    return _normalise(x_NCHW, mean, variance, layer.eps, weights)


def _layer_norm(layer: L.LayerNorm, x: Array, weights: Weights) -> Array:
    return _normalise(x, x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True), layer.eps, weights)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    positive = 1 / (1 + np.exp(-np.abs(x)))
    return np.where(x >= 0, positive, 1 - positive)


def _gelu(x: Array) -> Array:
    erf: Array = np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))
    return x * (1 + erf) / 2


def _mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(0, x))


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _activation(formula: Callable[[Array], Array]) -> Callable[[Any, Array, Weights], Array]:
    return lambda layer, x, weights: formula(x)


def _max_pool(layer: L.MaxPool, x: Array, weights: Weights) -> Array:
    largest: Array = _windows(layer, x, -np.inf)[0].max(axis=(4, 5))
    return largest


def _avg_pool(layer: L.AvgPool, x: Array, weights: Weights) -> Array:
    values, counts = _windows(layer, x, 0)
    sums: Array = values.sum(axis=(4, 5))
    return sums / counts


def _shuffle(layer: L.Shuffle, x_NCHW: Array, weights: Weights) -> Array:
    size = x_NCHW.shape[1] // layer.groups
    order = [group * size + index for index in range(size) for group in range(layer.groups)]
    return x_NCHW[:, order]


def _split(layer: L.Split, x_NCHW: Array, weights: Weights) -> Array:
    part: Array = np.split(x_NCHW, layer.parts, axis=1)[layer.part - 1]
    return part


def _squeeze_excite(layer: L.SqueezeExcite, x_NCHW: Array, weights: Weights) -> Array:
    squeezed_NF = x_NCHW.mean(axis=(2, 3)) @ weights["squeeze.weight"].T + weights["squeeze.bias"]
    activated_NF = FORWARD[L.ACTIVATIONS[layer.activation]](L.ACTIVATIONS[layer.activation](), squeezed_NF, weights)
    gate = {"sigmoid": sigmoid, "hardsigmoid": _hardsigmoid}[layer.gate]
    return x_NCHW * gate(activated_NF @ weights["excite.weight"].T + weights["excite.bias"])[:, :, None, None]


def _residual(layer: L.Residual, x: Array, weights: Weights) -> Array:
    parts = layer.parts(x.shape[1:])
    body = _chain(parts["body"], x, weights.inside("body"))
    if layer.shortcut == "A":
        rows, columns = layer.reduction
        new = body.shape[1] - x.shape[1]
        shortcut = np.zeros_like(body)
        shortcut[:, new // 2 : new // 2 + x.shape[1]] = x[:, :, ::rows, ::columns]
    else:
        shortcut = _chain(parts["shortcut"], x, weights.inside("shortcut"))
    total = body + shortcut
    return total if layer.after is None else FORWARD[type(layer.after)](layer.after, total, weights)


def _branches(layer: L.Container, x: Array, weights: Weights) -> list[Array]:
    return [_chain(part, x, weights.inside(name)) for name, part in layer.parts(x.shape[1:]).items()]


FORWARD: dict[type[L.Layer], Callable[[Any, Array, Weights], Array]] = {
    L.Conv: _conv,
    L.SepConv: _sepconv,
    L.Linear: _linear,
    L.BatchNorm: _batch_norm,
    L.GroupNorm: _group_norm,
    L.LayerNorm: _layer_norm,
    L.ReLU: _activation(lambda x: np.maximum(x, 0)),
    L.LeakyReLU: lambda layer, x, weights: np.where(x > 0, x, layer.slope * x),
    L.ReLU6: _activation(lambda x: np.clip(x, 0, 6)),
    L.ELU: lambda layer, x, weights: np.where(x > 0, x, layer.alpha * np.expm1(np.minimum(x, 0))),
    L.Swish: _activation(lambda x: x * sigmoid(x)),
    L.HardSwish: _activation(lambda x: x * _hardsigmoid(x)),
    L.GELU: _activation(_gelu),
    L.Mish: _activation(_mish),
    L.Tanh: _activation(np.tanh),
    L.Sigmoid: _activation(sigmoid),
    L.MaxPool: _max_pool,
    L.AvgPool: _avg_pool,
    L.GlobalAvgPool: _activation(lambda x: x.mean(axis=(2, 3))),
    L.Dropout: _activation(lambda x: x),
    L.DropPath: _activation(lambda x: x),
    L.Flatten: _activation(lambda x: x.reshape(len(x), -1)),
    L.Identity: _activation(lambda x: x),
    L.Scale: lambda layer, x, weights: x * layer.factor,
    L.Shuffle: _shuffle,
    L.Split: _split,
    L.SqueezeExcite: _squeeze_excite,
    L.Residual: _residual,
    L.Concat: lambda layer, x, weights: np.concatenate(_branches(layer, x, weights), axis=1),
    L.Sum: lambda layer, x, weights: np.sum(_branches(layer, x, weights), axis=0),
}
"""Layer type -> function of the layer, its input and its weights."""
