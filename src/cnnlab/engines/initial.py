"""Initial weights, drawn with NumPy: equal for every engine, device and wrapper of a network.

Each array has its own generator, derived from the recipe's seed and the array's path.

torch        weights and biases uniform within 1 / sqrt(fan_in), as torch does (LeCun et al. 1998, "Efficient backprop")
lecun        weights normal with variance 1 / fan_in (ibid.), biases 0
he           weights normal with variance 2 / fan_in (He et al. 2015, "Delving deep into rectifiers"), biases 0
glorot       weights uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010), biases 0
orthogonal   weights orthogonal, times sqrt(2) (Saxe et al. 2014), biases 0
auto         chosen by the architecture, see `_auto`

Normalisations always start with scale 1 and shift 0.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.layers import Container, Conv, Layer, Linear, Normalisation, Residual, SepConv
from cnnlab.arch.parameters import Parameter
from cnnlab.arch.shapes import Shape
from cnnlab.core.seeding import derive_generator
from cnnlab.engines.weights import Arrays

_START = {"scale": 1.0, "variance": 1.0, "shift": 0.0, "mean": 0.0, "count": 0}
# With torch's initial weights each layer of a ReLU network reduces the signal's variance to about a sixth: five such
# layers in a row train well (SimpleNN), nine stay at the loss of guessing for six epochs.
MOST_PLAIN_LAYERS = 5


def initial_weights(architecture: Architecture, input_shape: Shape, seed: int, init: str = "auto") -> Arrays:
    """Every array of the network, by name. Raises ArchitectureError where the layers do not fit `input_shape`."""
    arrays = architecture.trace(input_shape).arrays
    methods = _auto(architecture, arrays) if init == "auto" else {each.name: init for each in arrays}
    return {each.name: _draw(each, methods[each.name], seed) for each in arrays}


def _auto(architecture: Architecture, arrays: Sequence[Parameter]) -> dict[str, str]:
    """The method for each array.

    `he` for layers without bias (those before a normalisation have none), and for all layers of networks with more than
    `MOST_PLAIN_LAYERS` in a row without normalisation; there the last layer has `lecun`, as no activation follows it.
    Else `torch`, whose smaller weights are better for plain networks of few layers: in 13 epochs on CIFAR-10 without
    augmentation, SimpleNN reached a best val accuracy of 65.5 to 67.1% with `torch` (three seeds) and of 64.7 to 64.9%
    with `he` (two seeds).

    The last linear layer of a network with residuals (not those inside branches): normal with deviation 0.01, bias 0
    (Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1). Every residual adds variance: without this,
    ResNet-20 starts at a loss of 2.6 and ResNet-56 at 3.5; with it, both start near ln 10. Scale 0 for the last batch
    norm of a residual's body (ibid.) was tried and not kept: ResNet-20 needed two epochs of eight more.
    """
    deep = plain_layers(architecture.layers) > MOST_PLAIN_LAYERS
    biased = {each.name.rpartition(".")[0] for each in arrays if each.role == "bias"}
    methods = {each.name: "he" if deep or each.name.rpartition(".")[0] not in biased else "torch" for each in arrays}
    if deep:
        *_, last = (each.name for each in arrays if each.is_weight)
        methods[last] = "lecun"
    linear = [index for index, layer in enumerate(architecture.layers) if isinstance(layer, Linear)]
    if linear and any(isinstance(layer, Residual) for layer in architecture.layers):
        methods |= {f"{linear[-1]}.weight": "head", f"{linear[-1]}.bias": "head"}
    return methods


def plain_layers(layers: Iterable[Layer]) -> int:
    """The longest row of convolutions and linear layers without a normalisation between them, on the shortest path.

    That path takes the shortcut of each residual, and of other branches the one with the shortest row.
    """
    return _rows(layers, 0)[0]


def _rows(layers: Iterable[Layer], row: int) -> tuple[int, int]:
    """The longest row of plain layers, and the last one, after `row` plain layers."""
    longest = row
    for layer in layers:
        if isinstance(layer, Normalisation) or (isinstance(layer, Residual) and layer.shortcut == "B"):
            row = 0
        elif isinstance(layer, Conv | Linear):
            row += 1
        elif isinstance(layer, SepConv):
            row += 2
        elif isinstance(layer, Container):
            branches = [layer.own_shortcut] if isinstance(layer, Residual) else layer.groups
            inner, row = min(_rows(branch, row) for branch in branches)
            longest = max(longest, inner)
        longest = max(longest, row)
    return longest, row


def _draw(array: Parameter, method: str, seed: int) -> NDArray[np.generic]:
    if array.role in _START:
        return np.full(array.shape, _START[array.role], array.dtype)
    generator = derive_generator(seed, f"init/{array.name}")
    if method == "torch":
        bound = 1 / math.sqrt(array.fan_in)
        return generator.uniform(-bound, bound, array.shape).astype(array.dtype)
    if array.role == "bias":
        return np.zeros(array.shape, array.dtype)
    outputs = array.shape[0]
    match method:
        case "he":
            values = generator.standard_normal(array.shape) * math.sqrt(2 / array.fan_in)
        case "lecun":
            values = generator.standard_normal(array.shape) / math.sqrt(array.fan_in)
        case "head":
            values = generator.standard_normal(array.shape) * 0.01
        case "glorot":
            fan_out = array.size // array.shape[1]
            values = generator.uniform(-1, 1, array.shape) * math.sqrt(6 / (array.fan_in + fan_out))
        case "orthogonal":
            values = math.sqrt(2) * _orthogonal(generator, outputs, array.fan_in).reshape(array.shape)
        case _:
            raise AssertionError(f"no initialisation {method!r}")
    return values.astype(array.dtype)


def _orthogonal(generator: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """A uniformly drawn matrix with orthonormal rows (or columns, if they are fewer) (Mezzadri 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T
