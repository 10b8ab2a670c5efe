"""The kernel of a convolution, by its geometry."""

from typing import Any

from cnnlab.scratch.kernels.base import Convolution, Geometry
from cnnlab.scratch.kernels.gather import Gather
from cnnlab.scratch.memory import Memory


def convolution(geometry: Geometry, memory: Memory, dtype: Any) -> Convolution:
    """The kernel; its work memory is in `memory`, which kernels of one thread share."""
    return Gather(geometry, memory, dtype)
