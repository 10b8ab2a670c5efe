"""Layers that set random values to 0 in training."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import PROBABILITY
from cnnlab.arch.layers.base import Layer


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each value becomes 0 with probability p; the others are multiplied by 1 / (1 - p)."""

    name: ClassVar[str] = "dropout"
    p: Annotated[float, PROBABILITY]


@dataclass(frozen=True)
class DropPath(Layer):
    """Stochastic depth (Huang et al. 2016): as dropout, but all values of an image together.

    At the end of a residual's body it leaves out the whole body for some images.
    """

    name: ClassVar[str] = "droppath"
    p: Annotated[float, PROBABILITY]
