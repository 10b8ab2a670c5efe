"""The form in which a network is trained: the printed network's own layers, put together to run faster.

Nothing outside the torch engine sees it. Parameters and buffers are those of the printed network, so that whatever
changes one changes the other; values and gradients are the same.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from cnnlab.arch.layers import Dropout, Layer, LeakyReLU, MaxPool, ReLU, Residual
from cnnlab.arch.shapes import Shape
from cnnlab.engines.torch.dropout import CountedDropout
from cnnlab.engines.torch.network import ResidualBlock


def fast(model: nn.Sequential, layers: Sequence[Layer], shape: Shape, prefix: str = "") -> nn.Sequential:
    """The printed network of `layers` for inputs of `shape`, with dropout by counter and pooling before activations."""
    modules: list[tuple[str, nn.Module]] = []
    for (name, module), layer in zip(model.named_children(), layers, strict=True):
        path = f"{prefix}{name}"
        if isinstance(layer, Dropout):
            module = CountedDropout(layer.p, path, shape)
        elif isinstance(module, ResidualBlock):
            assert isinstance(layer, Residual)
            body = fast(module.body, layer.body, shape, f"{path}.body.")
            module = ResidualBlock(body, module.shortcut, module.activation)
        modules.append((name, module))
        shape = layer.output_shape(shape)
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, ReLU | LeakyReLU) and isinstance(second, MaxPool):
            # Rising functions and maxima commute: the same values and gradients, on a quarter of the numbers.
            modules[index], modules[index + 1] = modules[index + 1], modules[index]
    return nn.Sequential(OrderedDict(modules))
