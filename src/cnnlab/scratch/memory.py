"""Work memory that is allocated once and used in every step."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Memory:
    """Named arrays of one thread. The same name has the same memory, so its last content is overwritten."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array with any content; larger than before is allocated anew, smaller is a part of the same memory."""
        dtype, size = np.dtype(dtype), math.prod(shape)
        buffer = self._buffers.get((name, dtype.str))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype.str] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)

    @property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(buffer.nbytes for buffer in self._buffers.values())
