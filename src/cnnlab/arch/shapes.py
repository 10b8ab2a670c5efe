"""Shapes without the batch, (channels, height, width) or (features,), and windows that slide over maps."""

from typing import NamedTuple

from cnnlab.core.errors import ArchitectureError

Shape = tuple[int, ...]


def show_shape(shape: Shape) -> str:
    """A shape as text: `3x32x32`."""
    return "x".join(map(str, shape))


def read_shape(text: str) -> Shape:
    """The shape written as `3x32x32`, or `784` for flat data. Raises ArchitectureError."""
    try:
        shape = tuple(int(side) for side in text.lower().split("x"))
    except ValueError:
        shape = ()
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ArchitectureError(
            f"input: received {text!r}, expected channels x height x width such as 3x32x32, or a number of features"
        )
    return shape


def require_map(shape: Shape) -> tuple[int, int, int]:
    """(channels, height, width). Raises ArchitectureError for flat data."""
    if len(shape) != 3:
        raise ArchitectureError("it needs a map (channels x height x width), but the data is already flat here")
    return shape[0], shape[1], shape[2]


def divided_channels(shape: Shape, groups: int) -> int:
    """Channels of each of `groups` equal groups of a map. Raises ArchitectureError."""
    channels = require_map(shape)[0]
    if channels % groups:
        raise ArchitectureError(f"{channels} channels cannot be divided into {groups} groups")
    return channels // groups


class Window(NamedTuple):
    """(height, width) of kernel, stride and padding on each side; `ceil` counts a last window that is cut too."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    ceil: bool = False

    def slide(self, shape: Shape) -> tuple[int, int]:
        """Output (height, width): floor((n + 2 pad - kernel) / stride) + 1. Raises ArchitectureError.

        With `ceil` rounded up, but no window begins beyond the map and its first padding, as in torch.
        """
        sides = zip(require_map(shape)[1:], self.kernel, self.stride, self.pad, strict=True)
        height, width = (self._slide(*side) for side in sides)
        if min(height, width) < 1:
            kernel, pad = (f"{h}x{w}" for h, w in (self.kernel, self.pad))
            raise ArchitectureError(
                f"a {kernel} window with padding {pad} is larger than the input; "
                "use a smaller window, more padding or fewer layers that shrink the map before it"
            )
        return height, width

    def _slide(self, n: int, kernel: int, stride: int, pad: int) -> int:
        rest = n + 2 * pad - kernel
        if not self.ceil or rest < 0:
            return rest // stride + 1
        count = -(-rest // stride) + 1
        return count - 1 if (count - 1) * stride >= n + pad else count
