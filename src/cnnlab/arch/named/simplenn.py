"""SimpleNN: two unpadded convolutions with pooling and three linear layers, similar to LeNet-5.

82,030 parameters and 716,328 MACs for a 3x32x32 image and 10 classes.
"""

from typing import Annotated

from cnnlab.arch.architecture import Architecture
from cnnlab.arch.kinds import FLAG, PROBABILITY, choice
from cnnlab.arch.layers import ACTIVATIONS, BatchNorm, Conv, Dropout, Flatten, Layer, Linear, MaxPool


def simplenn(
    num_classes: int,
    *,
    activation: Annotated[str, choice(*ACTIVATIONS)] = "relu",
    batchnorm: Annotated[bool, FLAG] = False,
    dropout: Annotated[float, PROBABILITY] = 0.0,
) -> Architecture:
    """`batchnorm` comes between convolution and activation, `dropout` after the hidden linear layers."""
    norm: tuple[Layer, ...] = (BatchNorm(),) if batchnorm else ()
    act = ACTIVATIONS[activation]()
    drop: tuple[Layer, ...] = (Dropout(dropout),) if dropout else ()
    return Architecture(
        (
            *(Conv(5, 8), *norm, act, MaxPool(2)),
            *(Conv(3, 16), *norm, act, MaxPool(2)),
            Flatten(),
            *(Linear(120), act, *drop),
            *(Linear(84), act, *drop),
            Linear(num_classes),
        )
    )
