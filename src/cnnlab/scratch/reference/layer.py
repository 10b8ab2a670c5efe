"""What a layer is, and layers in a row.

A layer computes y = f(x, w) and helps to compute the gradient of a loss, one number at the end of the network. Its
`backward` receives d loss / d y, which the layer after it has computed, and finds by the chain rule

    d loss / d w = sum over y of  d loss / d y * d y / d w     to change its own weights,
    d loss / d x = sum over y of  d loss / d y * d y / d x     for the layer before it.

In the code `gradient` is d loss / d y, and `gradient_a` is d loss / d a of an array a: it has the shape of a.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Kind = TypeVar("Kind")
"""The layer's type in the architecture language, which has its options; None for layers without any."""


class Layer(Generic[Kind]):
    """Base of all layers.

    `kind`: its options. `weights`: its own arrays by torch's names, with the running statistics. `gradients`: those of
    the last `backward`, by the same names. `parts`: the layers inside it, by name.
    """

    def __init__(
        self, kind: Kind, weights: Mapping[str, Array] | None = None, parts: "Mapping[str, Layer[Any]] | None" = None
    ) -> None:
        self.kind = kind
        self.weights = dict(weights or {})
        self.gradients: dict[str, Array] = {}
        self.parts = dict(parts or {})

    def forward(self, x: Array, training: bool) -> Array:
        """The output for `x`, which stays as it is. Keeps what `backward` needs."""
        raise NotImplementedError

    def backward(self, gradient: Array) -> Array:
        """From the gradient of the last output, the gradient of its input, of the same shape as the input.

        Stores the gradients of the weights in `gradients`; earlier ones are replaced, not added to.
        """
        raise NotImplementedError

    def all_weights(self) -> dict[str, Array]:
        """Its arrays and those of the layers inside it: the keys of torch's `state_dict`."""
        inside = {name: layer.all_weights() for name, layer in self.parts.items()}
        return self.weights | _joined(inside)

    def all_gradients(self) -> dict[str, Array]:
        """The gradients of the last `backward` by the same keys; running statistics have none."""
        inside = {name: layer.all_gradients() for name, layer in self.parts.items()}
        return self.gradients | _joined(inside)


def _joined(inside: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    return {f"{part}.{name}": values for part, arrays in inside.items() for name, values in arrays.items()}


class Chain(Layer[None]):
    """Layers in a row, by name: each receives the output of the one before. Without layers it changes nothing.

    Backward they come in reverse order: this loop is all of backpropagation, the rest are derivatives.
    """

    def __init__(self, parts: "Mapping[str, Layer[Any]]") -> None:
        super().__init__(None, parts=parts)

    def forward(self, x: Array, training: bool) -> Array:
        for layer in self.parts.values():
            x = layer.forward(x, training)
        return x

    def backward(self, gradient: Array) -> Array:
        for layer in reversed(self.parts.values()):
            gradient = layer.backward(gradient)
        return gradient


def inside(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The arrays of a layer or part, by the rest of their names."""
    return {name.removeprefix(f"{part}."): values for name, values in arrays.items() if name.startswith(f"{part}.")}
