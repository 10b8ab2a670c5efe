"""The layers of an architecture: frozen values with their shapes, parameters and MACs.

Shapes exclude the batch: (channels, height, width) for maps, (features,) for flat data. One MAC is one
multiplication and addition, that is two FLOPs; only convolutions and linear layers are counted, without
biases. A new layer is a class here and a line in `LAYERS`; a test checks that every reader supports it.
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
"""Largest depth of nested residuals, so that recursive functions over layers are safe."""

TOO_DEEP = f"residuals are nested deeper than {MAX_NESTING}; write some of them one after the other"


@dataclass(frozen=True)
class Layer:
    """Base of all layers: keeps the input's shape and has no weights. Fields are checked and made canonical."""

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
        """Raise ArchitectureError if valid fields contradict each other."""

    @property
    def window(self) -> Window | None:
        """The window that this layer slides over the map, if any."""
        return None

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`. Raises ArchitectureError if it does not fit."""
        return shape

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        """Its parameters for an input of `shape`, with names inside the layer. Without the parts of a residual."""
        return ()

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image of `shape`. Without the parts of a residual."""
        return 0


@dataclass(frozen=True)
class _Convolution(Layer):
    """Common part of both convolutions."""

    kernel: Annotated[Size, KERNEL]
    channels: Annotated[int, COUNT]
    stride: Annotated[Size, SIZE] = 1
    pad: Annotated[Size | Literal["same"], PAD] = 0

    def _check(self) -> None:
        if self.pad == "same" and not all(side % 2 for side in pair(self.kernel)):
            raise ArchitectureError(
                f"{NAME_OF[type(self)]}: pad 'same' needs an odd kernel to be symmetric, received "
                f"{write_size(self.kernel)}; write the padding as a number"
            )

    @property
    def window(self) -> Window:
        height, width = pair(self.kernel)
        pad = (height // 2, width // 2) if self.pad == "same" else pair(self.pad)
        return Window((height, width), pair(self.stride), pad)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.channels, *self.window.slide(shape))

    def macs(self, shape: Shape) -> int:
        weights = sum(each.size for each in self.arrays(shape) if each.is_weight)
        return weights * math.prod(self.window.slide(shape))


@dataclass(frozen=True)
class Conv(_Convolution):
    """Convolution. `pad="same"` is (kernel - 1) / 2 on every side: output = ceil(input / stride)."""

    groups: Annotated[int, COUNT] = 1
    bias: Annotated[bool, FLAG] = True

    def _check(self) -> None:
        super()._check()
        if self.channels % self.groups:
            raise ArchitectureError(
                f"conv: {self.channels} output channels cannot be divided into {self.groups} groups"
            )

    def output_shape(self, shape: Shape) -> Shape:
        channels = require_map(shape)[0]
        if channels % self.groups:
            raise ArchitectureError(f"{channels} input channels cannot be divided into {self.groups} groups")
        return super().output_shape(shape)

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return weight_and_bias((self.channels, shape[0] // self.groups, *self.window.kernel), self.bias)


@dataclass(frozen=True)
class SepConv(_Convolution):
    """Depthwise-separable convolution: each channel alone, then a 1x1 convolution over all channels.

    Only the 1x1 convolution has a bias: it makes one of the depthwise convolution superfluous.
    Source: Howard et al. 2017, MobileNets, without the batch-norm and ReLU between the two.
    """

    bias: Annotated[bool, FLAG] = True

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return (
            *weight_and_bias((shape[0], 1, *self.window.kernel), False, "depthwise."),
            *weight_and_bias((self.channels, shape[0], 1, 1), self.bias, "pointwise."),
        )


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
    """Common part of both poolings. Without a stride, the stride is the kernel's size: windows do not overlap."""

    kernel: Annotated[Size, SIZE]
    stride: Annotated[Size | None, STRIDE_OR_KERNEL] = None
    pad: Annotated[Size, MARGIN] = 0

    def _check(self) -> None:
        if self.stride == self.kernel:
            object.__setattr__(self, "stride", None)
        if any(2 * pad > side for pad, side in zip(pair(self.pad), pair(self.kernel), strict=True)):
            raise ArchitectureError(
                f"{NAME_OF[type(self)]}: pad {write_size(self.pad)} is more than half of the kernel "
                f"{write_size(self.kernel)}; some windows would contain only padding"
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
    """In training each value becomes 0 with probability p; the others are multiplied by 1 / (1 - p)."""

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

    Shortcuts: `identity`; `A` takes every s-th row and column and adds channels of zeros, half of them before
    the old channels, half after; `B` is a 1x1 convolution with stride s, without bias, and a batch
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
        """Depth of nested residuals, including this one."""
        return 1 + max(layer.nesting if isinstance(layer, Residual) else 0 for layer in self.body)

    @property
    def stride(self) -> tuple[int, int]:
        """(height, width) of the body's total stride; the shortcut must match it."""
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
    """`layers` as a tuple. Raises ArchitectureError if it is empty or contains other values."""
    if not isinstance(layers, list | tuple) or not layers:
        raise ArchitectureError(f"{owner}: received {layers!r}, expected a sequence of at least one layer")
    if wrong := [item for item in layers if not isinstance(item, Layer)]:
        raise ArchitectureError(*(f"{owner}: received {item!r}, expected a layer" for item in wrong))
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
"""Other common names that are read; only the names of `LAYERS` are written."""
