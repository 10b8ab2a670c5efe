"""The layers of an architecture: frozen values with their shapes, parameters and MACs.

Shapes exclude the batch: (channels, height, width) for maps, (features,) for flat data. One MAC is one
multiplication and addition, that is two FLOPs; only convolutions and linear layers are counted, without
biases. A new layer is a class here and a line in `LAYERS`; a test checks that every reader supports it.
"""

from cnnlab.arch.layers.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    HardSwish,
    LeakyReLU,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    Swish,
    Tanh,
)
from cnnlab.arch.layers.base import MAX_NESTING, TOO_DEEP, Container, Layer, Layers, check_layers
from cnnlab.arch.layers.branches import Concat, Residual, Sum
from cnnlab.arch.layers.channels import Flatten, Identity, Scale, Shuffle, Split, SqueezeExcite
from cnnlab.arch.layers.dropping import Dropout, DropPath
from cnnlab.arch.layers.names import ABSENT, SYNONYMS, own_name, unknown_layer
from cnnlab.arch.layers.normalisations import BatchNorm, GroupNorm, LayerNorm, Normalisation
from cnnlab.arch.layers.pooling import AvgPool, GlobalAvgPool, MaxPool
from cnnlab.arch.layers.weighted import Conv, Linear, SepConv

_KINDS: tuple[type[Layer], ...] = (
    *(Conv, SepConv, Linear),
    *(BatchNorm, GroupNorm, LayerNorm),
    *ACTIVATIONS.values(),
    *(MaxPool, AvgPool, GlobalAvgPool),
    *(Dropout, DropPath),
    *(Flatten, Identity, Scale, Shuffle, Split, SqueezeExcite),
    *(Residual, Concat, Sum),
)
LAYERS: dict[str, type[Layer]] = {kind.name: kind for kind in _KINDS}

__all__ = [
    "ABSENT", "ACTIVATIONS", "ELU", "GELU", "LAYERS", "MAX_NESTING", "SYNONYMS", "TOO_DEEP", "AvgPool", "BatchNorm",
    "Concat", "Container", "Conv", "DropPath", "Dropout", "Flatten", "GlobalAvgPool", "GroupNorm", "HardSwish",
    "Identity", "Layer", "LayerNorm", "Layers", "LeakyReLU", "Linear", "MaxPool", "Mish", "Normalisation", "ReLU",
    "ReLU6", "Residual", "Scale", "SepConv", "Shuffle", "Sigmoid", "Split", "SqueezeExcite", "Sum", "Swish", "Tanh",
    "check_layers", "own_name", "unknown_layer",
]  # fmt: skip
