"""Chains of layers, and containers: residuals, sums and concatenations of chains."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.layers.base import Container
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.layers.activations import Activation
from cnnlab.scratch.layers.base import Array, Layer, Shared, Weights
from cnnlab.scratch.layers.channels import Flatten, Identity, Scale, Shuffle, Split, SqueezeExcite
from cnnlab.scratch.layers.dropping import Dropout, DropPath
from cnnlab.scratch.layers.normalisations import BatchNorm, GroupNorm, LayerNorm
from cnnlab.scratch.layers.pooling import AvgPool, GlobalAvgPool, MaxPool
from cnnlab.scratch.layers.weighted import Conv, Linear, SepConv


class Chain:
    """Layers one after the other. `shape`: of the input of the first; `output`: of the output of the last."""

    def __init__(self, layers: Mapping[str, L.Layer], shape: Shape, weights: Weights, shared: Shared) -> None:
        self.layers: list[Layer] = []
        for name, kind in layers.items():
            self.layers.append(LAYERS[type(kind)](kind, shape, weights.inside(name), shared))
            shape = kind.output_shape(shape)
        self.output = shape

    def forward(self, x: Array, training: bool) -> Array:
        """The output of the last layer."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, gradient: Array) -> Array:
        """The gradient for the input of the first layer."""
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient


class _Containing(Layer):
    """A layer made of chains that receive the same input."""

    def __init__(self, kind: Container, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        parts = kind.parts(shape).items()
        self.chains = {name: Chain(layers, shape, weights.inside(name), shared) for name, layers in parts}

    def _added(self, name: str, arrays: list[Array]) -> Array:
        out = self.array(name, arrays[0].shape)
        np.add(arrays[0], arrays[1], out=out)
        for array in arrays[2:]:
            out += array
        return out


class Residual(_Containing):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, kind: L.Residual, shape: Shape, weights: Weights, shared: Shared) -> None:
        super().__init__(kind, shape, weights, shared)
        self.body, self.shortcut = self.chains["body"], self.chains["shortcut"]
        after = kind.after
        self.after = None if after is None else Activation(after, self.body.output, weights, shared)
        # Shortcut A: every s-th row and column, the old channels in the middle of the new ones.
        rows, columns = kind.reduction
        before = (self.body.output[0] - shape[0]) // 2
        self.positions = slice(None, None, rows), slice(None, None, columns)
        self.channels = slice(before, before + shape[0])

    def forward(self, x: Array, training: bool) -> Array:
        body = self.body.forward(x, training)
        if cast(L.Residual, self.kind).shortcut == "A":
            out = self.array("sum", body.shape)
            out[...] = body
            out[..., self.channels] += x[self.positions]
        else:
            out = self._added("sum", [body, self.shortcut.forward(x, training)])
        return out if self.after is None else self.after.forward(out, training)

    def backward(self, gradient: Array) -> Array:
        if self.after is not None:
            gradient = self.after.backward(gradient)
        through_body = self.body.backward(gradient)
        if cast(L.Residual, self.kind).shortcut != "A":
            return self._added("gradient", [through_body, self.shortcut.backward(gradient)])
        out = self.array("gradient", through_body.shape)
        out[...] = through_body
        out[self.positions] += gradient[..., self.channels]
        return out


class Sum(_Containing):
    """The sum of all branches."""

    def forward(self, x: Array, training: bool) -> Array:
        return self._added("out", [chain.forward(x, training) for chain in self.chains.values()])

    def backward(self, gradient: Array) -> Array:
        return self._added("gradient", [chain.backward(gradient) for chain in self.chains.values()])


class Concat(_Containing):
    """The channels (or features) of all branches, one branch after the other."""

    def forward(self, x: Array, training: bool) -> Array:
        return np.concatenate([chain.forward(x, training) for chain in self.chains.values()], axis=-1)

    def backward(self, gradient: Array) -> Array:
        ends = np.cumsum([chain.output[0] for chain in self.chains.values()])[:-1]
        parts = zip(self.chains.values(), np.split(gradient, ends, axis=-1), strict=True)
        return self._added("gradient", [chain.backward(np.ascontiguousarray(part)) for chain, part in parts])


LAYERS: dict[type[L.Layer], type[Layer]] = {
    L.Conv: Conv,
    L.SepConv: SepConv,
    L.Linear: Linear,
    L.BatchNorm: BatchNorm,
    L.GroupNorm: GroupNorm,
    L.LayerNorm: LayerNorm,
    **dict.fromkeys(L.ACTIVATIONS.values(), Activation),
    L.MaxPool: MaxPool,
    L.AvgPool: AvgPool,
    L.GlobalAvgPool: GlobalAvgPool,
    L.Dropout: Dropout,
    L.DropPath: DropPath,
    L.Flatten: Flatten,
    L.Identity: Identity,
    L.Scale: Scale,
    L.Shuffle: Shuffle,
    L.Split: Split,
    L.SqueezeExcite: SqueezeExcite,
    L.Residual: Residual,
    L.Concat: Concat,
    L.Sum: Sum,
}
"""Layer of the architecture language -> its form here."""
