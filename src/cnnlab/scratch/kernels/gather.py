"""Any convolution as matrix products: windows are gathered row by row ("im2col"), in blocks that stay in the cache.

Shapes as in `base.py`; P = kh kw C / G values of a window.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnlab.scratch.kernels.base import Array, Geometry
from cnnlab.scratch.memory import Memory

_BLOCK_BYTES = 1 << 20
"""Of gathered windows at a time: they are read again at once, from the second cache."""


class Gather:
    """See `base.Convolution`."""

    def __init__(self, geometry: Geometry, memory: Memory, dtype: Any) -> None:
        self.geometry, self.memory, self.dtype = geometry, memory, np.dtype(dtype)

    def forward(self, x: Array, weight: Array, bias: Array | None, out: Array) -> None:
        matrices = self._matrices(weight)
        padded = self._padded(x)
        for rows in self._blocks(x.shape[2]):
            windows = self._windows(padded, rows, x.shape[2])
            for group, matrix in enumerate(matrices):
                target = self._group(out[rows], group)
                target[...] = (windows[group] @ matrix.T).reshape(target.shape)
        if bias is not None:
            out += bias

    def backward_weight(self, x: Array, gradient: Array, weight: Array, bias: Array | None) -> None:
        matrices = self._matrices(weight)
        matrices[...] = 0
        padded = self._padded(x)
        for rows in self._blocks(x.shape[2]):
            windows = self._windows(padded, rows, x.shape[2])
            for group, matrix in enumerate(matrices):
                part = self._group(gradient[rows], group)
                matrix += part.reshape(-1, part.shape[-1]).T @ windows[group]
        if bias is not None:
            np.sum(gradient.reshape(-1, gradient.shape[-1]), axis=0, out=bias)

    def backward_input(self, gradient: Array, weight: Array, out: Array) -> None:
        geometry, images = self.geometry, gradient.shape[2]
        matrices = self._matrices(weight)
        padded = self.memory.array("gather padded", self._padded_shape(images), self.dtype)
        padded[...] = 0
        for rows in self._blocks(images):
            for group, matrix in enumerate(matrices):
                part = self._group(gradient[rows], group)
                of_windows = part.reshape(-1, part.shape[-1]) @ matrix
                windows = of_windows.reshape(*part.shape[:3], *geometry.kernel, -1)
                for row, column, target in self._taps(padded, rows):
                    self._input_group(target, group)[...] += windows[:, :, :, row, column]
        top, left = geometry.padding
        out[...] = padded[top : top + geometry.height, left : left + geometry.width]

    def _matrices(self, weight: Array) -> Array:
        """G x K / G x P, a view."""
        return weight.reshape(self.geometry.groups, -1, weight[0].size)

    def _group(self, part: Array, group: int) -> Array:
        size = self.geometry.filters // self.geometry.groups
        return part[..., group * size : (group + 1) * size]

    def _input_group(self, part: Array, group: int) -> Array:
        size = self.geometry.channels // self.geometry.groups
        return part[..., group * size : (group + 1) * size]

    def _padded_shape(self, images: int) -> tuple[int, ...]:
        (top, left), one = self.geometry.padding, self.geometry
        return one.height + 2 * top, one.width + 2 * left, images, one.channels

    def _padded(self, x: Array) -> Array:
        top, left = self.geometry.padding
        if not (top or left):
            return x
        padded = self.memory.array("gather padded", self._padded_shape(x.shape[2]), self.dtype)
        padded[:top] = 0
        padded[top + x.shape[0] :] = 0
        padded[:, :left] = 0
        padded[:, left + x.shape[1] :] = 0
        padded[top : top + x.shape[0], left : left + x.shape[1]] = x
        return padded

    def _blocks(self, images: int) -> Iterator[slice]:
        """Rows of the output whose windows are gathered together."""
        (kh, kw), one = self.geometry.kernel, self.geometry
        row = one.out_width * images * kh * kw * one.channels * self.dtype.itemsize
        step = max(1, _BLOCK_BYTES // row)
        for start in range(0, one.out_height, step):
            yield slice(start, min(start + step, one.out_height))

    def _taps(self, padded: Array, rows: slice) -> Iterator[tuple[int, int, Array]]:
        """Each position inside the window, and the inputs that the outputs of `rows` read there, as a view."""
        (kh, kw), (down, right) = self.geometry.kernel, self.geometry.stride
        for row in range(kh):
            for column in range(kw):
                begin, end = rows.start * down + row, (rows.stop - 1) * down + row + 1
                last = (self.geometry.out_width - 1) * right + column + 1
                yield row, column, padded[begin:end:down, column:last:right]

    def _windows(self, padded: Array, rows: slice, images: int) -> Array:
        """G x outputs x P."""
        one = self.geometry
        count = (rows.stop - rows.start) * one.out_width * images
        shape = (one.groups, count, *one.kernel, one.channels // one.groups)
        windows = self.memory.array("gather windows", shape, self.dtype)
        for row, column, values in self._taps(padded, rows):
            for group in range(one.groups):
                part = self._input_group(values, group)
                windows[group, :, row, column] = part.reshape(count, -1)
        return windows.reshape(one.groups, count, -1)
