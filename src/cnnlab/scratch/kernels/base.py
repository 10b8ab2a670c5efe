"""What a kernel of a convolution is: the geometry, and three functions.

Shapes: maps H x W x n x C, weights K x kh x kw x C / G, n images, C and K channels, G groups.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
Sides = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Height and width of the input map, its channels, and the convolution."""

    height: int
    width: int
    channels: int
    filters: int
    kernel: Sides
    stride: Sides
    padding: Sides
    groups: int = 1

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return (self.height + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return (self.width + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1


class Convolution(Protocol):
    """One convolution. `out` is overwritten; nothing else is changed. Images may be any number from 1 on."""

    def forward(self, x: Array, weight: Array, bias: Array | None, out: Array) -> None:
        """The convolution of `x`."""

    def backward_input(self, gradient: Array, weight: Array, out: Array) -> None:
        """The gradient of the input, from that of the output."""

    def backward_weight(self, x: Array, gradient: Array, weight: Array, bias: Array | None) -> None:
        """Overwrite `weight` and `bias` with their gradients."""
