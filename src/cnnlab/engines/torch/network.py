"""From an architecture to a torch module, one line per layer type; and a trained network for prediction.

Names of parameters are the paths of the layers, as the rows of `Architecture.trace` are: `conv 3x3 8 |
residual(conv 3x3 16 pad 1; shortcut B)` has the keys `0.weight`, `1.body.0.weight`, `1.shortcut.conv.weight`.

Shapes: N images, C channels, H height, W width, K classes.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnlab.arch import Architecture
from cnnlab.arch import layers as L
from cnnlab.arch.layers.base import numbered
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import CnnlabError
from cnnlab.engines.batches import EVALUATION_BATCH, evaluation_batch
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch import modules
from cnnlab.engines.torch.devices import choose_device
from cnnlab.engines.weights import Arrays


def build(architecture: Architecture, input_shape: Shape) -> nn.Sequential:
    """The module, one child for each layer: normalised images_NCHW to logits_NK. It has torch's initial weights.

    Raises ArchitectureError where the layers do not fit `input_shape`, (channels, height, width).
    """
    architecture.trace(input_shape)
    return _sequence(numbered(architecture.layers), input_shape)


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

    def __init__(
        self, module: nn.Sequential, normalisation: Normalisation, device: torch.device, batch: int = EVALUATION_BATCH
    ) -> None:
        self.module = module.eval().to(device)
        self.batch = batch
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
            for start in range(0, len(images_NHWC), self.batch):
                images_NCHW = self.normalised(images_NHWC[start : start + self.batch])
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
    batch = evaluation_batch(architecture, image_shape)
    return TorchNetwork(with_weights(architecture, image_shape, weights), normalisation, chosen, batch)


def _whole_float32(device: torch.device) -> AbstractContextManager[None]:
    """Turn off TF32, in which CUDA's convolutions round their inputs to 10 bits by default."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)


Lowering = Callable[[Any, Shape], nn.Module]


def _conv(layer: L.Conv, shape: Shape) -> nn.Module:
    kernel, stride, pad, _ = layer.window
    return nn.Conv2d(shape[0], layer.channels, kernel, stride, pad, groups=layer.groups, bias=layer.bias)


def _sepconv(layer: L.SepConv, shape: Shape) -> nn.Module:
    kernel, stride, pad, _ = layer.window
    depthwise = nn.Conv2d(shape[0], shape[0], kernel, stride, pad, groups=shape[0], bias=False)
    pointwise = nn.Conv2d(shape[0], layer.channels, 1, bias=layer.bias)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def _batch_norm(layer: L.BatchNorm, shape: Shape) -> nn.Module:
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return kind(shape[0], eps=layer.eps, momentum=layer.momentum)


def _max_pool(layer: L.MaxPool, shape: Shape) -> nn.Module:
    kernel, stride, pad, ceil = layer.window
    return nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil)


def _avg_pool(layer: L.AvgPool, shape: Shape) -> nn.Module:
    kernel, stride, pad, ceil = layer.window
    return nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil)


def _split(layer: L.Split, shape: Shape) -> nn.Module:
    width = shape[0] // layer.parts
    return modules.Split((layer.part - 1) * width, layer.part * width)


def _squeeze_excite(layer: L.SqueezeExcite, shape: Shape) -> nn.Module:
    activation = _module(L.ACTIVATIONS[layer.activation](), shape)
    gate = nn.Hardsigmoid() if layer.gate == "hardsigmoid" else nn.Sigmoid()
    return modules.SqueezeExcite(shape[0], layer.hidden, activation, gate)


def _residual(layer: L.Residual, shape: Shape) -> nn.Module:
    activation = nn.Identity() if layer.after is None else _module(layer.after, shape)
    parts = _parts(layer, shape)
    shortcut: nn.Module = parts["shortcut"] if len(parts["shortcut"]) else nn.Identity()
    if layer.shortcut == "A":
        shortcut = modules.PadSubsample(layer.reduction, layer.output_shape(shape)[0] - shape[0])
    return modules.ResidualBlock(parts["body"], shortcut, activation)


def _parts(layer: L.Container, shape: Shape) -> dict[str, nn.Sequential]:
    return {name: _sequence(part, shape) for name, part in layer.parts(shape).items()}


MODULES: dict[type[L.Layer], Lowering] = {
    L.Conv: _conv,
    L.SepConv: _sepconv,
    L.Linear: lambda layer, shape: nn.Linear(shape[0], layer.features, bias=layer.bias),
    L.BatchNorm: _batch_norm,
    L.GroupNorm: lambda layer, shape: nn.GroupNorm(layer.groups, shape[0], eps=layer.eps),
    L.LayerNorm: lambda layer, shape: modules.LayerNorm(shape[0], layer.eps),
    L.ReLU: lambda layer, shape: nn.ReLU(),
    L.LeakyReLU: lambda layer, shape: nn.LeakyReLU(layer.slope),
    L.ReLU6: lambda layer, shape: nn.ReLU6(),
    L.ELU: lambda layer, shape: nn.ELU(layer.alpha),
    L.Swish: lambda layer, shape: nn.SiLU(),
    L.HardSwish: lambda layer, shape: nn.Hardswish(),
    L.GELU: lambda layer, shape: nn.GELU(),
    L.Mish: lambda layer, shape: nn.Mish(),
    L.Tanh: lambda layer, shape: nn.Tanh(),
    L.Sigmoid: lambda layer, shape: nn.Sigmoid(),
    L.MaxPool: _max_pool,
    L.AvgPool: _avg_pool,
    L.GlobalAvgPool: lambda layer, shape: modules.GlobalAveragePool(),
    L.Dropout: lambda layer, shape: nn.Dropout(layer.p),
    L.DropPath: lambda layer, shape: modules.DropPath(layer.p),
    L.Flatten: lambda layer, shape: nn.Flatten(),
    L.Identity: lambda layer, shape: nn.Identity(),
    L.Scale: lambda layer, shape: modules.Scale(layer.factor),
    L.Shuffle: lambda layer, shape: modules.Shuffle(layer.groups),
    L.Split: _split,
    L.SqueezeExcite: _squeeze_excite,
    L.Residual: _residual,
    L.Concat: lambda layer, shape: modules.Concat(_parts(layer, shape)),
    L.Sum: lambda layer, shape: modules.Sum(_parts(layer, shape)),
}
"""Layer type -> its module for an input of that shape."""


def _module(layer: L.Layer, shape: Shape) -> nn.Module:
    return MODULES[type(layer)](layer, shape)


def _sequence(layers: Mapping[str, L.Layer], shape: Shape) -> nn.Sequential:
    children = OrderedDict[str, nn.Module]()
    for name, layer in layers.items():
        children[name] = _module(layer, shape)
        shape = layer.output_shape(shape)
    return nn.Sequential(children)
