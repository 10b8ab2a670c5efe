"""From an architecture to a torch module, plainly: one line per layer type, and its initial weights.

Parameters are named by the paths of the layers, as the rows of `Architecture.trace` are: `conv 3x3 8 |
residual(conv 3x3 16 pad 1; shortcut B)` has the keys `0.weight`, `1.body.0.weight`, `1.shortcut.conv.weight`.

Shapes: N images, C channels, H height, W width, K classes.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.arch import Architecture
from cnnlab.arch.layers import (
    ACTIVATIONS,
    GELU,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    SepConv,
    Swish,
)
from cnnlab.arch.shapes import Shape
from cnnlab.core.seeding import derive_seed


def build(architecture: Architecture, input_shape: Shape) -> nn.Sequential:
    """The module: images_NCHW (float) to logits_NK. Its weights are torch's own until `initialise`.

    Raises ArchitectureError where the layers do not fit `input_shape`, (channels, height, width).
    """
    architecture.trace(input_shape)
    return _sequence(architecture.layers, input_shape)


def initialise(model: nn.Module, seed: int) -> None:
    """Draw the initial weights in place, from the seed and the layer's position alone, equal on every device.

    Convolutions without bias, which a normalisation follows: normal with variance 2 / fan_in (He et al. 2015,
    "Delving deep into rectifiers"). Other convolutions and linear layers: weights and biases uniform within
    1 / sqrt(fan_in), torch's own choice (LeCun et al. 1998, "Efficient backprop"). Its smaller weights suit plain
    networks better: in 13 epochs on CIFAR-10, SimpleNN without augmentation reached a best val accuracy of 65.5 to
    67.1% so, and 64.7 to 64.9% from He's (three and two seeds).

    Batch norm: shift 0, scale 1. Scale 0 where it ends the body of a residual (Goyal et al. 2017, "Accurate,
    large minibatch SGD", section 5.1) was tried and dropped: ResNet-20 trained more slowly by two epochs of eight.

    The last linear layer of a network with residuals: deviation 0.01, bias 0 (ibid.). Every residual adds variance,
    so that ResNet-20 would start at a loss of 2.6 and ResNet-56 at 3.5; so both start near ln 10.
    """
    for index, module in enumerate(model.modules()):
        generator = torch.Generator().manual_seed(derive_seed(seed, "init", index))
        if isinstance(module, nn.Conv2d) and module.bias is None:
            deviation = math.sqrt(2 / math.prod(module.weight.shape[1:]))
            _fill(module.weight, torch.randn(module.weight.shape, generator=generator) * deviation)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(math.prod(module.weight.shape[1:]))
            for parameter in module.parameters():
                _fill(parameter, (2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()
    modules = list(model.modules())
    if any(isinstance(module, ResidualBlock) for module in modules):
        for head in [module for module in modules if isinstance(module, nn.Linear)][-1:]:
            generator = torch.Generator().manual_seed(derive_seed(seed, "init/head"))
            _fill(head.weight, torch.randn(head.weight.shape, generator=generator) * 0.01)
            if head.bias is not None:
                nn.init.zeros_(head.bias)


def _fill(parameter: Tensor, values: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values)


class GlobalAveragePool(nn.Module):
    """x_NCHW to the mean of each channel, N C."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean(dim=(2, 3))


class PadSubsample(nn.Module):
    """Shortcut A: every s-th row and column, and zero channels, half of them before and half behind."""

    def __init__(self, stride: tuple[int, int], new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.before, self.behind = new_channels // 2, new_channels - new_channels // 2

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW[:, :, :: self.stride[0], :: self.stride[1]]
        return F.pad(x_NCHW, (0, 0, 0, 0, self.before, self.behind))


class ResidualBlock(nn.Module):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


def _conv(layer: Conv, shape: Shape) -> nn.Module:
    return nn.Conv2d(shape[0], layer.channels, *layer.window, groups=layer.groups, bias=layer.bias)


def _sepconv(layer: SepConv, shape: Shape) -> nn.Module:
    depthwise = nn.Conv2d(shape[0], shape[0], *layer.window, groups=shape[0], bias=False)
    pointwise = nn.Conv2d(shape[0], layer.channels, 1, bias=layer.bias)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def _batchnorm(layer: BatchNorm, shape: Shape) -> nn.Module:
    return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])


def _residual(layer: Residual, shape: Shape) -> nn.Module:
    return ResidualBlock(
        body=_sequence(layer.body, shape),
        shortcut=_shortcut(layer, shape),
        activation=nn.Identity()
        if layer.activation == "none"
        else _module(ACTIVATIONS[layer.activation](), shape),
    )


def _shortcut(layer: Residual, shape: Shape) -> nn.Module:
    if layer.shortcut == "A":
        return PadSubsample(layer.stride, layer.output_shape(shape)[0] - shape[0])
    modules = OrderedDict[str, nn.Module]()
    for name, part in layer.projection(shape).items():
        modules[name] = _module(part, shape)
        shape = part.output_shape(shape)
    return nn.Sequential(modules) if modules else nn.Identity()


Lowering = Callable[[Any, Shape], nn.Module]

MODULES: dict[type[Layer], Lowering] = {
    Conv: _conv,
    SepConv: _sepconv,
    BatchNorm: _batchnorm,
    ReLU: lambda layer, shape: nn.ReLU(),
    LeakyReLU: lambda layer, shape: nn.LeakyReLU(layer.slope),
    Swish: lambda layer, shape: nn.SiLU(),
    GELU: lambda layer, shape: nn.GELU(),
    MaxPool: lambda layer, shape: nn.MaxPool2d(*layer.window),
    AvgPool: lambda layer, shape: nn.AvgPool2d(*layer.window),
    GlobalAvgPool: lambda layer, shape: GlobalAveragePool(),
    Dropout: lambda layer, shape: nn.Dropout(layer.p),
    Flatten: lambda layer, shape: nn.Flatten(),
    Linear: lambda layer, shape: nn.Linear(shape[0], layer.features, bias=layer.bias),
    Residual: _residual,
}
"""Layer type to its module for an input of that shape."""


def _module(layer: Layer, shape: Shape) -> nn.Module:
    return MODULES[type(layer)](layer, shape)


def _sequence(layers: Sequence[Layer], shape: Shape) -> nn.Sequential:
    modules = []
    for index, layer in enumerate(layers):
        modules.append((str(index), _module(layer, shape)))
        shape = layer.output_shape(shape)
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, ReLU | LeakyReLU) and isinstance(second, MaxPool):
            # Rising functions and maxima commute: the same values and gradients, on a quarter of the numbers.
            modules[index], modules[index + 1] = modules[index + 1], modules[index]
    return nn.Sequential(OrderedDict(modules))
