"""Normalisations. Scales are weights of the count, shifts biases."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import COUNT, MOMENTUM, POSITIVE
from cnnlab.arch.layers.base import Layer
from cnnlab.arch.parameters import Parameter, scale_and_shift, statistics
from cnnlab.arch.shapes import Shape, divided_channels


@dataclass(frozen=True)
class Normalisation(Layer):
    """Common part: (x - mean) / sqrt(variance + eps), then scale and shift per channel or feature."""

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return scale_and_shift(shape[0])


@dataclass(frozen=True)
class BatchNorm(Normalisation):
    """Per channel of a map or feature of flat data, over the batch (Ioffe and Szegedy 2015).

    The running statistics become (1 - momentum) x old + momentum x new, as in torch.
    """

    name: ClassVar[str] = "bn"
    eps: Annotated[float, POSITIVE] = 1e-5
    momentum: Annotated[float, MOMENTUM] = 0.1

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        return (*super().arrays(shape), *statistics(shape[0]))


@dataclass(frozen=True)
class GroupNorm(Normalisation):
    """Per image and group of neighbouring channels, over these channels and all positions (Wu and He 2018)."""

    name: ClassVar[str] = "gn"
    groups: Annotated[int, COUNT]
    eps: Annotated[float, POSITIVE] = 1e-5

    def output_shape(self, shape: Shape) -> Shape:
        divided_channels(shape, self.groups)
        return shape


@dataclass(frozen=True)
class LayerNorm(Normalisation):
    """Per image and position, over the channels; of flat data over all features (Ba et al. 2016).

    On maps as in ConvNeXt (Liu et al. 2022); for all channels and positions together write `gn 1`.
    """

    name: ClassVar[str] = "ln"
    eps: Annotated[float, POSITIVE] = 1e-5
