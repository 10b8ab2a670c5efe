"""Layers that arrange or weight whole channels, without a window."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import COUNT, FACTOR, choice
from cnnlab.arch.layers.activations import ACTIVATIONS
from cnnlab.arch.layers.base import Layer
from cnnlab.arch.parameters import Parameter, weight_and_bias
from cnnlab.arch.shapes import Shape, divided_channels, require_map
from cnnlab.core.errors import ArchitectureError


@dataclass(frozen=True)
class Identity(Layer):
    """The input itself, for a branch without layers."""

    name: ClassVar[str] = "identity"


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes flat (C * H * W,), channel by channel and row by row."""

    name: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Scale(Layer):
    """Every value times a fixed number, for example logits times 0.125 before the loss."""

    name: ClassVar[str] = "scale"
    factor: Annotated[float, FACTOR]


@dataclass(frozen=True)
class Shuffle(Layer):
    """Channels divided into `groups` groups and interleaved (Zhang et al. 2018, ShuffleNet).

    Channel g * (C / groups) + i moves to i * groups + g.
    """

    name: ClassVar[str] = "shuffle"
    groups: Annotated[int, COUNT]

    def output_shape(self, shape: Shape) -> Shape:
        divided_channels(shape, self.groups)
        return shape


@dataclass(frozen=True)
class Split(Layer):
    """The `part`-th (from 1) of `parts` equal groups of neighbouring channels."""

    name: ClassVar[str] = "split"
    part: Annotated[int, COUNT]
    parts: Annotated[int, COUNT]

    def _check(self) -> None:
        if self.part > self.parts:
            raise ArchitectureError(f"split: received part {self.part}, expected 1 to {self.parts}")

    def output_shape(self, shape: Shape) -> Shape:
        return (divided_channels(shape, self.parts), *shape[1:])


@dataclass(frozen=True)
class SqueezeExcite(Layer):
    """Each channel times a factor between 0 and 1 (Hu et al. 2018, "Squeeze-and-excitation networks").

    The factors: mean of each channel | linear `hidden` | `activation` | linear C | `gate`, with biases.
    """

    name: ClassVar[str] = "se"
    hidden: Annotated[int, COUNT]
    activation: Annotated[str, choice(*ACTIVATIONS)] = "relu"
    gate: Annotated[str, choice("sigmoid", "hardsigmoid")] = "sigmoid"

    def output_shape(self, shape: Shape) -> Shape:
        require_map(shape)
        return shape

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return (
            *weight_and_bias((self.hidden, shape[0]), True, "squeeze."),
            *weight_and_bias((shape[0], self.hidden), True, "excite."),
        )

    def macs(self, shape: Shape) -> int:
        return 2 * self.hidden * shape[0]
