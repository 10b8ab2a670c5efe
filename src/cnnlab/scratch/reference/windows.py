"""All windows of a map as one array, and the way back.

`unfold` copies values into windows: a value that lies in several windows is copied several times. Its gradient is
therefore the sum of the gradients of all its copies, which is what `fold` computes.

Window (y, x) begins at row y * stride and column x * stride of the padded map. The arrays of windows have the axes
N, C, output height Y, output width X, kernel height I, kernel width J.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from cnnlab.arch.shapes import Shape, Window
from cnnlab.scratch.reference.layer import Array


def unfold(x_NCHW: Array, window: Window, padding: float, beyond: float = 0) -> Array:
    """values[n, c, y, x, i, j] = padded[n, c, y * stride + i, x * stride + j].

    `padding` is the value around the map. `beyond` is that of rows and columns after the padding, into which only
    a last window of a pooling with `ceil` reaches.
    """
    (top, left), (below, right) = window.pad, _beyond(x_NCHW.shape[1:], window)
    padded = np.pad(x_NCHW, ((0, 0), (0, 0), (top, top), (left, left)), constant_values=padding)
    padded = np.pad(padded, ((0, 0), (0, 0), (0, below), (0, right)), constant_values=beyond)
    values = np.empty((*x_NCHW.shape[:2], *window.slide(x_NCHW.shape[1:]), *window.kernel))
    for i, j, rows, columns in _places(x_NCHW.shape[1:], window):
        values[..., i, j] = padded[:, :, rows, columns]
    return values


def fold(values_NCYXIJ: Array, window: Window, shape: Shape) -> Array:
    """The sum of all copies of each value of a map C x H x W of this `shape`; what lies in the padding is left out."""
    _, height, width = shape
    (top, left), (below, right) = window.pad, _beyond(shape, window)
    padded = np.zeros((*values_NCYXIJ.shape[:2], height + 2 * top + below, width + 2 * left + right))
    for i, j, rows, columns in _places(shape, window):
        padded[:, :, rows, columns] += values_NCYXIJ[..., i, j]
    return padded[:, :, top : top + height, left : left + width]


def _places(shape: Shape, window: Window) -> Iterator[tuple[int, int, slice, slice]]:
    """Each place (i, j) of the kernel, with the rows and columns on which it lies in all windows."""
    (height, width), (down, right) = window.slide(shape), window.stride
    for i, j in product(*map(range, window.kernel)):
        yield i, j, slice(i, i + (height - 1) * down + 1, down), slice(j, j + (width - 1) * right + 1, right)


def _beyond(shape: Shape, window: Window) -> tuple[int, int]:
    """Rows and columns that the last window needs after the padding; without `ceil` there are none."""
    sides = zip(window.slide(shape), shape[1:], window.kernel, window.stride, window.pad, strict=True)
    rows, columns = (max(0, (count - 1) * step + kernel - side - 2 * pad) for count, side, kernel, step, pad in sides)
    return rows, columns
