"""All arrays of a network in a few long vectors, as an optimizer reads them, and their gradients in the same order.

The trained arrays are views into one vector for weights and one for the others (biases, scales and shifts), in the
order of the architecture: the order of `engines/torch/flat.py`, so that both engines read each other's checkpoints.
Running statistics share a third vector; counters stay on the host.

Inside, the weight of a convolution is stored channels last, K x kh x kw x C/G, as the kernels read it. Outside it has
torch's axes, K x C/G x kh x kw. Linear weights, F x D, are the same inside and outside.

Shape legend: K output channels, C input channels, G groups, kh x kw kernel, F features, D inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch.parameters import Parameter
from cnnlab.core.errors import WeightsError

Array = Any
"""An array of the namespace `xp`: NumPy's or CuPy's."""


class Vectors:
    """One vector for the weights, one for the other trained arrays, and each array as a view into them."""

    def __init__(self, trained: Sequence[Parameter], dtype: Any, xp: Any) -> None:
        """All values are 0."""
        self.xp = xp
        self.weights, weights = _flat([each for each in trained if each.is_weight], dtype, xp)
        self.others, others = _flat([each for each in trained if not each.is_weight], dtype, xp)
        found = weights | others
        self.by_name: dict[str, Array] = {each.name: found[each.name] for each in trained}

    @property
    def vectors(self) -> list[Array]:
        """The vectors that are not empty: weights, then the others."""
        return [vector for vector in (self.weights, self.others) if vector.size]


class Gradients(Vectors):
    """One number for every trained one, in the same order and under the same names."""

    def clear(self) -> None:
        """Set every gradient to zero in place."""
        for vector in self.vectors:
            vector.fill(0)

    def add(self, other: "Gradients") -> None:
        """Add those of another part of the batch."""
        for vector, further in zip(self.vectors, other.vectors, strict=True):
            self.xp.add(vector, further, out=vector)


class Parameters(Vectors):
    """The arrays of a network. `by_name`: trained; `statistics`: running means and variances; `counts`: int64."""

    def __init__(
        self, arrays: Sequence[Parameter], initial: Mapping[str, NDArray[Any]], dtype: Any = np.float32, xp: Any = np
    ) -> None:
        """`initial` has every one of `arrays` with torch's names and axes. Raises WeightsError where it does not."""
        self.arrays = tuple(arrays)
        self.dtype = np.dtype(dtype)
        self._trained = [each for each in arrays if each.is_trained]
        super().__init__(self._trained, self.dtype, xp)
        measured = [each for each in arrays if each.role in ("mean", "variance")]
        self.buffers, self.statistics = _flat(measured, self.dtype, xp)
        self.counts = {each.name: np.zeros(each.shape, np.int64) for each in arrays if each.role == "count"}
        self.load(initial)

    def gradients(self) -> Gradients:
        """New gradients of zero; each part of a batch that is computed at the same time needs its own."""
        return Gradients(self._trained, self.dtype, self.xp)

    def averaged(self) -> list[Array]:
        """The vectors that averages follow: those of the trained arrays, and last the running statistics."""
        return self.vectors + ([self.buffers] if self.buffers.size else [])

    def state(self) -> dict[str, NDArray[Any]]:
        """Every array on the host, with torch's names and axes; in NumPy views, which the next step changes."""
        inside = self.by_name | self.statistics | self.counts
        return {each.name: _outside(on_host(inside[each.name])) for each in self.arrays}

    def load(self, given: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays with torch's names and axes into the vectors. Raises WeightsError, and then changes nothing."""
        problems = list(self._misfits(given))
        if problems:
            raise WeightsError(*problems)
        inside = self.by_name | self.statistics | self.counts
        for each in self.arrays:
            values = np.asarray(given[each.name])
            if values.ndim == 4:
                values = values.transpose(0, 2, 3, 1)
            target = inside[each.name]
            xp = np if each.role == "count" else self.xp
            target[...] = xp.asarray(values, dtype=target.dtype)

    def _misfits(self, given: Mapping[str, NDArray[Any]]) -> Iterator[str]:
        for each in self.arrays:
            if each.name not in given:
                yield f"{each.name} is missing, expected an array of shape {each.shape}"
            elif np.shape(given[each.name]) != each.shape:
                yield f"{each.name}: received shape {np.shape(given[each.name])}, expected {each.shape}"
        known = {each.name for each in self.arrays}
        yield from (f"{name}: the network has no such array; leave it out" for name in given if name not in known)


def on_host(array: Array) -> NDArray[Any]:
    """The array in NumPy: itself, or a copy from the device."""
    return np.asarray(array.get() if hasattr(array, "get") else array)


def _flat(arrays: Sequence[Parameter], dtype: Any, xp: Any) -> tuple[Array, dict[str, Array]]:
    """A vector of zeros for all arrays, and a view of it for each."""
    vector = xp.zeros(sum(each.size for each in arrays), dtype=dtype)
    views, position = {}, 0
    for each in arrays:
        views[each.name] = vector[position : position + each.size].reshape(_inside(each.shape))
        position += each.size
    return vector, views


def _inside(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array as it is stored: that of a convolution's weight channels last."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def _outside(values: NDArray[Any]) -> NDArray[Any]:
    """A stored array with torch's axes."""
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
