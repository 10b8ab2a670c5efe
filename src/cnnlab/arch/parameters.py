"""All arrays of a network, computed from its architecture: the contract of all engines.

Names and axes are torch's, so that engines can read each other's files: `3.body.0.weight` is the weight of the
first layer of the body of layer 3; a convolution's axes are (output channels, input channels / groups, height, width).
"""

import math
from dataclasses import dataclass
from typing import Literal

Role = Literal["weight", "bias", "scale", "shift", "mean", "variance", "count"]
"""The last three are the running statistics of a normalisation: stored, not trained."""


@dataclass(frozen=True)
class Parameter:
    """One array. `fan_in`: number of inputs that are summed for one output value; 0 without a sum."""

    name: str
    shape: tuple[int, ...]
    role: Role
    fan_in: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> str:
        """NumPy name of its element type."""
        return "int64" if self.role == "count" else "float32"

    @property
    def is_trained(self) -> bool:
        """Whether an optimizer changes it."""
        return self.role not in ("mean", "variance", "count")

    @property
    def is_weight(self) -> bool:
        """Whether it multiplies inputs: L1 and weight decay always apply to it."""
        return self.role == "weight"


def weight_and_bias(shape: tuple[int, ...], bias: bool, prefix: str = "") -> tuple[Parameter, ...]:
    """Arrays of a convolution or linear layer: the first axis of `shape` is the output, the others are summed over."""
    fan_in = math.prod(shape[1:])
    weight = Parameter(f"{prefix}weight", shape, "weight", fan_in)
    return (weight, Parameter(f"{prefix}bias", shape[:1], "bias", fan_in)) if bias else (weight,)


def scale_and_shift(num_channels: int) -> tuple[Parameter, ...]:
    """Trained arrays of a normalisation."""
    return (Parameter("weight", (num_channels,), "scale"), Parameter("bias", (num_channels,), "shift"))


def statistics(num_channels: int) -> tuple[Parameter, ...]:
    """Running statistics of a batch normalisation."""
    return (
        Parameter("running_mean", (num_channels,), "mean"),
        Parameter("running_var", (num_channels,), "variance"),
        Parameter("num_batches_tracked", (), "count"),
    )
