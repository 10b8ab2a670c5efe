"""Layers with weights that multiply inputs: convolutions and linear layers."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from cnnlab.arch.kinds import COUNT, FLAG, KERNEL, PAD, SIZE, Size, pair, write_size
from cnnlab.arch.layers.base import Layer
from cnnlab.arch.parameters import Parameter, weight_and_bias
from cnnlab.arch.shapes import Shape, Window, require_map
from cnnlab.core.errors import ArchitectureError


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
                f"{self.name}: pad 'same' needs an odd kernel to be symmetric, received "
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

    name: ClassVar[str] = "conv"
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

    name: ClassVar[str] = "sepconv"
    bias: Annotated[bool, FLAG] = True

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return (
            *weight_and_bias((shape[0], 1, *self.window.kernel), False, "depthwise."),
            *weight_and_bias((self.channels, shape[0], 1, 1), self.bias, "pointwise."),
        )


@dataclass(frozen=True)
class Linear(Layer):
    """Every output feature is a weighted sum of all input features."""

    name: ClassVar[str] = "linear"
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
