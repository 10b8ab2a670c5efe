"""Every array that a network holds, known from its architecture alone: the contract that all engines share.

Names and axes are torch's, so that any engine reads what another one wrote: `3.body.0.weight` is the weight of the
first layer of the body of layer 3, a convolution's axes are (output channels, input channels / groups, height, width).
"""

import math
from dataclasses import dataclass
from typing import Literal

Role = Literal["weight", "bias", "scale", "shift", "mean", "variance", "count"]
"""What an array is for. The last three are the running statistics of a normalisation: kept, not trained."""


@dataclass(frozen=True)
class Parameter:
    """One array. `fan_in`: how many inputs one output value adds up, 0 where nothing is added up."""

    name: str
    shape: tuple[int, ...]
    role: Role
    fan_in: int = 0

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> str:
        """The NumPy name of its number format."""
        return "int64" if self.role == "count" else "float32"

    @property
    def is_trained(self) -> bool:
        """Whether an optimizer changes it."""
        return self.role not in ("mean", "variance", "count")

    @property
    def is_weight(self) -> bool:
        """Whether it multiplies inputs: what L1 covers, and what weight decay covers in any case."""
        return self.role == "weight"


def weight_and_bias(shape: tuple[int, ...], bias: bool, prefix: str = "") -> tuple[Parameter, ...]:
    """The arrays of a convolution or linear layer: outputs are the first axis of `shape`, the rest is summed over."""
    fan_in = math.prod(shape[1:])
    weight = Parameter(f"{prefix}weight", shape, "weight", fan_in)
    return (weight, Parameter(f"{prefix}bias", shape[:1], "bias", fan_in)) if bias else (weight,)


def normalisation(num_channels: int) -> tuple[Parameter, ...]:
    """The arrays of a batch normalisation."""
    channels = (num_channels,)
    return (
        Parameter("weight", channels, "scale"),
        Parameter("bias", channels, "shift"),
        Parameter("running_mean", channels, "mean"),
        Parameter("running_var", channels, "variance"),
        Parameter("num_batches_tracked", (), "count"),
    )
