"""From layers of the architecture language to a network that computes, with the table of all layers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import layers as L
from cnnlab.arch.layers.base import numbered
from cnnlab.scratch.reference.activations import ACTIVATIONS
from cnnlab.scratch.reference.branches import Concat, Residual, Sum, parts_of
from cnnlab.scratch.reference.channels import Flatten, Identity, Scale, Shuffle, Split, SqueezeExcite
from cnnlab.scratch.reference.dropping import Dropout, DropPath, Dropping
from cnnlab.scratch.reference.layer import Array, Chain, Layer, inside
from cnnlab.scratch.reference.normalisations import BatchNorm, GroupNorm, LayerNorm
from cnnlab.scratch.reference.pooling import AvgPool, GlobalAvgPool, MaxPool
from cnnlab.scratch.reference.weighted import Conv, Linear, SepConv

LAYERS: dict[type[L.Layer], Callable[..., Layer[Any]]] = {
    L.Conv: Conv,
    L.SepConv: SepConv,
    L.Linear: Linear,
    L.BatchNorm: BatchNorm,
    L.GroupNorm: GroupNorm,
    L.LayerNorm: LayerNorm,
    **ACTIVATIONS,
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
"""Type of the architecture language -> its class here, called with options, weights and, for containers, parts."""

PathDraw = Callable[[str, tuple[int, ...], float], NDArray[Any]]
"""Path of a dropout layer such as `3.body.1`, shape and p -> what stays, see `dropping.Draw`."""


def build(layers: L.Layers, arrays: Mapping[str, NDArray[Any]], draw: PathDraw | None = None) -> Chain:
    """The network with copies of `arrays` in float64: every array that the architecture's trace names.

    `draw` decides what dropout and drop path keep; only training needs it.
    """
    exact = {name: np.array(values, np.float64) for name, values in arrays.items()}
    return _chain(numbered(layers), exact, draw, "")


def forward(layers: L.Layers, images_NCHW: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Array:
    """The output for normalised images in evaluation. `arrays` as for `build`."""
    return build(layers, arrays).forward(np.asarray(images_NCHW, np.float64), training=False)


def _chain(kinds: Mapping[str, L.Layer], arrays: Mapping[str, Array], draw: PathDraw | None, path: str) -> Chain:
    return Chain({name: _layer(kind, inside(arrays, name), draw, f"{path}{name}") for name, kind in kinds.items()})


def _layer(kind: L.Layer, arrays: Mapping[str, Array], draw: PathDraw | None, path: str) -> Layer[Any]:
    make = LAYERS[type(kind)]
    if isinstance(kind, L.Container):
        parts = parts_of(kind, arrays)
        chains = {name: _chain(part, inside(arrays, name), draw, f"{path}.{name}.") for name, part in parts.items()}
        return make(kind, {}, chains)
    layer = make(kind, arrays)
    if draw is not None and isinstance(layer, Dropping):
        layer.draw = partial(draw, path)
    return layer
