"""The layers an architecture is made of: frozen values that know their shapes, weights, biases and MACs.

Shapes exclude the batch: (channels, height, width) for maps, (features,) for flat data. One MAC is one
multiplication with its addition, that is two FLOPs; only convolutions and linear layers are counted, without
the addition of biases. A new layer is a class here and a line in `LAYERS`; a test asks every reader for it.
"""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Literal

from cnnlab.arch.kinds import (
    COUNT,
    FLAG,
    KERNEL,
    MARGIN,
    PAD,
    PROBABILITY,
    SIZE,
    SLOPE,
    STRIDE_OR_KERNEL,
    Size,
    choice,
    kinds_of,
    pair,
    write_size,
)
from cnnlab.arch.parameters import Parameter, normalisation, weight_and_bias
from cnnlab.arch.shapes import Shape, Window, require_map, show_shape
from cnnlab.core.errors import ArchitectureError

MAX_NESTING = 20
"""Residuals in one another. No network comes near it; what goes through layers may recurse."""

TOO_DEEP = f"residuals are nested deeper than {MAX_NESTING}; write some of them one after the other"


@dataclass(frozen=True)
class Layer:
    """Base of all layers: one that keeps its input's shape and has no weights.

    Fields are checked and made canonical, whichever form they came from.
    """

    def __post_init__(self) -> None:
        problems = []
        for name, kind in kinds_of(type(self)).items():
            try:
                object.__setattr__(self, name, kind.accept(name, getattr(self, name)))
            except ValueError as problem:
                problems.append(f"{NAME_OF[type(self)]}: {problem}")
        if problems:
            raise ArchitectureError(*problems)
        self._check()

    def _check(self) -> None:
        """Raise ArchitectureError where valid fields do not go together."""

    @property
    def window(self) -> Window | None:
        """The window this layer slides over the map, if it does."""
        return None

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`. Raises ArchitectureError saying what does not fit."""
        return shape

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        """What it holds for an input of `shape` that fits, named within it. Without the parts of a residual."""
        return ()

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image of `shape` that fits. Without the parts of a residual."""
        return 0


def _conv_window(kernel: Size, stride: Size, pad: Size | Literal["same"]) -> Window:
    (kernel_h, kernel_w), strides = pair(kernel), pair(stride)
    if pad != "same":
        return Window((kernel_h, kernel_w), strides, pair(pad))
    return Window((kernel_h, kernel_w), strides, (kernel_h // 2, kernel_w // 2))


def _check_same(name: str, kernel: Size, pad: Size | Literal["same"]) -> None:
    if pad == "same" and not all(side % 2 for side in pair(kernel)):
        raise ArchitectureError(
            f"{name}: pad 'same' needs an odd kernel to be symmetric, received {write_size(kernel)}; "
            "write the padding as a number"
        )


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution. `pad="same"` is (kernel - 1) / 2 on every side: output = ceil(input / stride)."""

    kernel: Annotated[Size, KERNEL]
    channels: Annotated[int, COUNT]
    stride: Annotated[Size, SIZE] = 1
    pad: Annotated[Size | Literal["same"], PAD] = 0
    groups: Annotated[int, COUNT] = 1
    bias: Annotated[bool, FLAG] = True

    def _check(self) -> None:
        _check_same("conv", self.kernel, self.pad)
        if self.channels % self.groups:
            raise ArchitectureError(
                f"conv: {self.channels} output channels cannot be divided into {self.groups} groups"
            )

    @property
    def window(self) -> Window:
        return _conv_window(self.kernel, self.stride, self.pad)

    def output_shape(self, shape: Shape) -> Shape:
        channels = require_map(shape)[0]
        if channels % self.groups:
            raise ArchitectureError(f"{channels} input channels cannot be divided into {self.groups} groups")
        return (self.channels, *self.window.slide(shape))

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return weight_and_bias((self.channels, shape[0] // self.groups, *self.window.kernel), self.bias)

    def macs(self, shape: Shape) -> int:
        return self.arrays(shape)[0].size * math.prod(self.window.slide(shape))


@dataclass(frozen=True)
class SepConv(Layer):
    """Depthwise-separable convolution: each channel by itself, then a 1x1 convolution that mixes them.

    The bias belongs to the 1x1 convolution; the depthwise one has none, the mixing would absorb it.
    Source: Howard et al. 2017, MobileNets, without the batch-norm and ReLU between the two.
    """

    kernel: Annotated[Size, KERNEL]
    channels: Annotated[int, COUNT]
    stride: Annotated[Size, SIZE] = 1
    pad: Annotated[Size | Literal["same"], PAD] = 0
    bias: Annotated[bool, FLAG] = True

    def _check(self) -> None:
        _check_same("sepconv", self.kernel, self.pad)

    @property
    def window(self) -> Window:
        return _conv_window(self.kernel, self.stride, self.pad)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.channels, *self.window.slide(shape))

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return (
            *weight_and_bias((shape[0], 1, *self.window.kernel), False, "depthwise."),
            *weight_and_bias((self.channels, shape[0], 1, 1), self.bias, "pointwise."),
        )

    def macs(self, shape: Shape) -> int:
        weights = sum(each.size for each in self.arrays(shape) if each.is_weight)
        return weights * math.prod(self.window.slide(shape))


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation per channel of a map or feature of flat data. Scales are weights, shifts biases."""

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return normalisation(shape[0])


@dataclass(frozen=True)
class ReLU(Layer):
    """max(0, x)."""


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """x where x > 0, else slope * x."""

    slope: Annotated[float, SLOPE] = 0.01


@dataclass(frozen=True)
class Swish(Layer):
    """x * sigmoid(x), also called SiLU."""


@dataclass(frozen=True)
class GELU(Layer):
    """x * Phi(x) with the exact normal distribution function."""


ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "leaky-relu": LeakyReLU, "swish": Swish, "gelu": GELU}


@dataclass(frozen=True)
class _Pool(Layer):
    """What both poolings share. Without a stride windows do not overlap: the stride is the kernel's size."""

    kernel: Annotated[Size, SIZE]
    stride: Annotated[Size | None, STRIDE_OR_KERNEL] = None
    pad: Annotated[Size, MARGIN] = 0

    def _check(self) -> None:
        if self.stride == self.kernel:
            object.__setattr__(self, "stride", None)
        if any(2 * pad > side for pad, side in zip(pair(self.pad), pair(self.kernel), strict=True)):
            raise ArchitectureError(
                f"{NAME_OF[type(self)]}: pad {write_size(self.pad)} is more than half of the kernel "
                f"{write_size(self.kernel)}; "
                "some windows would see nothing of the map"
            )

    @property
    def window(self) -> Window:
        return Window(pair(self.kernel), pair(self.stride or self.kernel), pair(self.pad))

    def output_shape(self, shape: Shape) -> Shape:
        return (require_map(shape)[0], *self.window.slide(shape))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest value of each window."""


@dataclass(frozen=True)
class AvgPool(_Pool):
    """Mean of each window; zeros of the padding count."""


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """Mean of each channel over the whole map: (C, H, W) becomes flat (C,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (require_map(shape)[0],)


@dataclass(frozen=True)
class Dropout(Layer):
    """While training, each value becomes 0 with probability p, and the others grow by 1 / (1 - p)."""

    p: Annotated[float, PROBABILITY]


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes flat (C * H * W,), channel by channel and row by row."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Linear(Layer):
    """Every output feature is a weighted sum of all input features."""

    features: Annotated[int, COUNT]
    bias: Annotated[bool, FLAG] = True

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ArchitectureError("it needs flat data; put 'flatten' or 'gap' before it")
        return (self.features,)

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return weight_and_bias((self.features, shape[0]), self.bias)

    def macs(self, shape: Shape) -> int:
        return self.features * shape[0]


@dataclass(frozen=True)
class Residual(Layer):
    """activation(body(x) + shortcut(x)), He et al. 2016.

    Shortcuts: `identity`; `A` takes every s-th row and column and pads the new channels with zeros, half of
    them before and half behind; `B` is a 1x1 convolution with stride s, without bias, and a batch
    normalisation. s is the stride of the body.
    """

    body: tuple[Layer, ...]
    shortcut: Annotated[str, choice("identity", "A", "B")] = "identity"
    activation: Annotated[str, choice("none", *ACTIVATIONS)] = "relu"

    def _check(self) -> None:
        object.__setattr__(self, "body", check_layers("residual", self.body))
        if self.nesting > MAX_NESTING:
            raise ArchitectureError(TOO_DEEP)

    @property
    def nesting(self) -> int:
        """How many residuals lie in one another here, this one included."""
        return 1 + max(layer.nesting if isinstance(layer, Residual) else 0 for layer in self.body)

    @property
    def stride(self) -> tuple[int, int]:
        """(height, width) of the body's whole stride, which the shortcut has to match."""
        height, width = 1, 1
        for layer in self.body:
            step = layer.stride if isinstance(layer, Residual) else layer.window and layer.window.stride
            height, width = (height * step[0], width * step[1]) if step else (height, width)
        return height, width

    def projection(self, shape: Shape) -> dict[str, Layer]:
        """The shortcut's own layers by name: `conv` and `bn` of option B, nothing for the others."""
        if self.shortcut != "B":
            return {}
        channels = self._body_shape(shape)[0]
        return {"conv": Conv(1, channels, stride=self.stride, bias=False), "bn": BatchNorm()}

    def output_shape(self, shape: Shape) -> Shape:
        body = self._body_shape(shape)
        shortcut = self._shortcut_shape(shape, body[0])
        if body != shortcut:
            raise ArchitectureError(
                f"the body makes {show_shape(body)}, shortcut {self.shortcut} makes {show_shape(shortcut)}, "
                "which cannot be added; change padding, channels or stride of the body, or the shortcut"
            )
        return body

    def _body_shape(self, shape: Shape) -> Shape:
        return reduce(lambda shape, layer: layer.output_shape(shape), self.body, shape)

    def _shortcut_shape(self, shape: Shape, body_channels: int) -> Shape:
        if self.shortcut == "identity":
            return shape
        channels, *sides = require_map(shape)
        height, width = (-(-side // step) for side, step in zip(sides, self.stride, strict=True))
        if self.shortcut == "A" and body_channels < channels:
            raise ArchitectureError(
                f"shortcut A can only add channels, but the body goes from {channels} to {body_channels}; "
                "use shortcut B"
            )
        return body_channels, height, width


def check_layers(owner: str, layers: object) -> tuple[Layer, ...]:
    """`layers` as a tuple. Raises ArchitectureError where it is empty or holds anything but layers."""
    if not isinstance(layers, list | tuple) or not layers:
        raise ArchitectureError(f"{owner}: received {layers!r}, expected a sequence of at least one layer")
    if strangers := [layer for layer in layers if not isinstance(layer, Layer)]:
        raise ArchitectureError(*(f"{owner}: received {item!r}, expected a layer" for item in strangers))
    return tuple(layers)


LAYERS: dict[str, type[Layer]] = {
    "conv": Conv,
    "sepconv": SepConv,
    "bn": BatchNorm,
    **ACTIVATIONS,
    "pool": MaxPool,
    "avg-pool": AvgPool,
    "gap": GlobalAvgPool,
    "dropout": Dropout,
    "flatten": Flatten,
    "linear": Linear,
    "residual": Residual,
}
NAME_OF = {layer: name for name, layer in LAYERS.items()}
"""Name of every layer class: the inverse of `LAYERS`."""

SYNONYMS = {
    "max-pool": "pool",
    "global-avg-pool": "gap",
    "global-average-pool": "gap",
    "silu": "swish",
    "batchnorm": "bn",
}
"""Names of the literature that are read as ours; ours are the ones written."""
