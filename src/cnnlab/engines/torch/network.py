"""From an architecture to a torch module, one line per layer type; and a trained network for prediction.

Names of parameters are the paths of the layers, as the rows of `Architecture.trace` are: `conv 3x3 8 |
residual(conv 3x3 16 pad 1; shortcut B)` has the keys `0.weight`, `1.body.0.weight`, `1.shortcut.conv.weight`.

Shapes: N images, C channels, H height, W width, K classes.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.arch import Architecture
from cnnlab.arch import layers as L
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import CnnlabError
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.devices import choose_device
from cnnlab.engines.weights import Arrays

EVALUATION_BATCH = 500  # large enough for two busy cores, small enough for their caches


def build(architecture: Architecture, input_shape: Shape) -> nn.Sequential:
    """The module, one child for each layer: normalised images_NCHW to logits_NK. It has torch's initial weights.

    Raises ArchitectureError where the layers do not fit `input_shape`, (channels, height, width).
    """
    architecture.trace(input_shape)
    return _sequence(architecture.layers, input_shape)


def initialised(architecture: Architecture, input_shape: Shape, seed: int, init: str = "auto") -> nn.Sequential:
    """The module with its initial weights, see `engines/initial.py`."""
    return with_weights(architecture, input_shape, initial_weights(architecture, input_shape, seed, init))


def with_weights(architecture: Architecture, input_shape: Shape, weights: Mapping[str, NDArray[Any]]) -> nn.Sequential:
    """The module with copies of these weights, which must fit (`engines.weights.fitted` checks that)."""
    with torch.device("meta"):  # shapes without memory: torch draws no initial weights
        model = build(architecture, input_shape)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()}, assign=True)
    return model


class Normalise(nn.Module):
    """Pixels 0..`levels`, ... x C x H x W, normalised: for whole images in predictions and exports.

    Training batches are packed, and `resident.Normaliser` normalises them.
    """

    def __init__(self, values: Normalisation, levels: int) -> None:
        super().__init__()
        scale, shift = values.affine(levels)
        self.scale = nn.Buffer(torch.tensor(scale).view(-1, 1, 1), persistent=False)
        self.shift = nn.Buffer(torch.tensor(shift).view(-1, 1, 1), persistent=False)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        return pixels_NCHW * self.scale + self.shift


class TorchNetwork:
    """See `engines.protocol.Network`. `module` is in evaluation mode."""

    def __init__(self, module: nn.Sequential, normalisation: Normalisation, device: torch.device) -> None:
        self.module = module.eval().to(device)
        self.normalise = Normalise(normalisation, levels=255).to(device)
        self.device = device

    def weights(self) -> Arrays:
        return {name: value.cpu().numpy() for name, value in self.module.state_dict().items()}

    def normalised(self, images_NHWC: NDArray[np.uint8]) -> Tensor:
        """Decoded images as the network's input: float32, N x C x H x W, on its device."""
        pixels_NCHW = torch.from_numpy(np.array(images_NHWC)).permute(0, 3, 1, 2)
        normalised: Tensor = self.normalise(pixels_NCHW.to(self.device).float())
        return normalised

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = []
        with torch.inference_mode(), _whole_float32(self.device):
            for start in range(0, len(images_NHWC), EVALUATION_BATCH):
                images_NCHW = self.normalised(images_NHWC[start : start + EVALUATION_BATCH])
                batches.append(self.module(images_NCHW).cpu())
        return torch.cat(batches).numpy()


def network(
    architecture: Architecture,
    image_shape: Shape,
    normalisation: Normalisation,
    weights: Mapping[str, NDArray[Any]],
    device: str = "cpu",
) -> TorchNetwork:
    try:
        chosen = choose_device(device)
    except CnnlabError:
        chosen = torch.device("cpu")
    return TorchNetwork(with_weights(architecture, image_shape, weights), normalisation, chosen)


def _whole_float32(device: torch.device) -> AbstractContextManager[None]:
    """Turn off TF32, in which CUDA's convolutions round their inputs to 10 bits by default."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)


class GlobalAveragePool(nn.Module):
    """x_NCHW to the mean of each channel, N C."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean(dim=(2, 3))


class PadSubsample(nn.Module):
    """Shortcut A: every s-th row and column, and new channels of zeros, half of them before and half after."""

    def __init__(self, stride: tuple[int, int], new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.before, self.after = new_channels // 2, new_channels - new_channels // 2

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW[:, :, :: self.stride[0], :: self.stride[1]]
        return F.pad(x_NCHW, (0, 0, 0, 0, self.before, self.after))


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


def _conv(layer: L.Conv, shape: Shape) -> nn.Module:
    return nn.Conv2d(shape[0], layer.channels, *layer.window, groups=layer.groups, bias=layer.bias)


def _sepconv(layer: L.SepConv, shape: Shape) -> nn.Module:
    depthwise = nn.Conv2d(shape[0], shape[0], *layer.window, groups=shape[0], bias=False)
    pointwise = nn.Conv2d(shape[0], layer.channels, 1, bias=layer.bias)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def _residual(layer: L.Residual, shape: Shape) -> nn.Module:
    none = layer.activation == "none"
    activation = nn.Identity() if none else _module(L.ACTIVATIONS[layer.activation](), shape)
    return ResidualBlock(_sequence(layer.body, shape), _shortcut(layer, shape), activation)


def _shortcut(layer: L.Residual, shape: Shape) -> nn.Module:
    if layer.shortcut == "A":
        return PadSubsample(layer.stride, layer.output_shape(shape)[0] - shape[0])
    modules = OrderedDict[str, nn.Module]()
    for name, part in layer.projection(shape).items():
        modules[name] = _module(part, shape)
        shape = part.output_shape(shape)
    return nn.Sequential(modules) if modules else nn.Identity()


Lowering = Callable[[Any, Shape], nn.Module]

MODULES: dict[type[L.Layer], Lowering] = {
    L.Conv: _conv,
    L.SepConv: _sepconv,
    L.BatchNorm: lambda layer, shape: nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0]),
    L.ReLU: lambda layer, shape: nn.ReLU(),
    L.LeakyReLU: lambda layer, shape: nn.LeakyReLU(layer.slope),
    L.Swish: lambda layer, shape: nn.SiLU(),
    L.GELU: lambda layer, shape: nn.GELU(),
    L.MaxPool: lambda layer, shape: nn.MaxPool2d(*layer.window),
    L.AvgPool: lambda layer, shape: nn.AvgPool2d(*layer.window),
    L.GlobalAvgPool: lambda layer, shape: GlobalAveragePool(),
    L.Dropout: lambda layer, shape: nn.Dropout(layer.p),
    L.Flatten: lambda layer, shape: nn.Flatten(),
    L.Linear: lambda layer, shape: nn.Linear(shape[0], layer.features, bias=layer.bias),
    L.Residual: _residual,
}
"""Layer type -> its module for an input of that shape."""


def _module(layer: L.Layer, shape: Shape) -> nn.Module:
    return MODULES[type(layer)](layer, shape)


def _sequence(layers: Sequence[L.Layer], shape: Shape) -> nn.Sequential:
    modules = []
    for index, layer in enumerate(layers):
        modules.append((str(index), _module(layer, shape)))
        shape = layer.output_shape(shape)
    return nn.Sequential(OrderedDict(modules))
