"""Pooling: windows or whole maps become one value."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import FLAG, MARGIN, SIZE, STRIDE_OR_KERNEL, Size, pair, write_size
from cnnlab.arch.layers.base import Layer
from cnnlab.arch.shapes import Shape, Window, require_map
from cnnlab.core.errors import ArchitectureError


@dataclass(frozen=True)
class _Pool(Layer):
    """Common part of both poolings. Without a stride, the stride is the kernel's size: windows do not overlap.

    `ceil`: a last window that lies partly outside the padded map counts too, if it begins inside (torch's ceil_mode).
    """

    kernel: Annotated[Size, SIZE]
    stride: Annotated[Size | None, STRIDE_OR_KERNEL] = None
    pad: Annotated[Size, MARGIN] = 0
    ceil: Annotated[bool, FLAG] = False

    def _check(self) -> None:
        if self.stride == self.kernel:
            object.__setattr__(self, "stride", None)
        if any(2 * pad > side for pad, side in zip(pair(self.pad), pair(self.kernel), strict=True)):
            raise ArchitectureError(
                f"{self.name}: pad {write_size(self.pad)} is more than half of the kernel "
                f"{write_size(self.kernel)}; some windows would contain only padding"
            )

    @property
    def window(self) -> Window:
        return Window(pair(self.kernel), pair(self.stride or self.kernel), pair(self.pad), self.ceil)

    def output_shape(self, shape: Shape) -> Shape:
        return (require_map(shape)[0], *self.window.slide(shape))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest value of each window."""

    name: ClassVar[str] = "pool"


@dataclass(frozen=True)
class AvgPool(_Pool):
    """Mean of each window; zeros of the padding count, positions beyond the padding (`ceil`) do not."""

    name: ClassVar[str] = "avg-pool"


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """Mean of each channel over the whole map: (C, H, W) becomes flat (C,)."""

    name: ClassVar[str] = "gap"

    def output_shape(self, shape: Shape) -> Shape:
        return (require_map(shape)[0],)
