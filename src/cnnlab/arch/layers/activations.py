"""Activations: functions of single values."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import SLOPE
from cnnlab.arch.layers.base import Layer


@dataclass(frozen=True)
class ReLU(Layer):
    """max(0, x)."""

    name: ClassVar[str] = "relu"


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """x where x > 0, else slope * x."""

    name: ClassVar[str] = "leaky-relu"
    slope: Annotated[float, SLOPE] = 0.01


@dataclass(frozen=True)
class ReLU6(Layer):
    """min(max(0, x), 6) (Sandler et al. 2018, MobileNetV2)."""

    name: ClassVar[str] = "relu6"


@dataclass(frozen=True)
class ELU(Layer):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""

    name: ClassVar[str] = "elu"
    alpha: Annotated[float, SLOPE] = 1.0


@dataclass(frozen=True)
class Swish(Layer):
    """x * sigmoid(x), also called SiLU (Ramachandran et al. 2017)."""

    name: ClassVar[str] = "swish"


@dataclass(frozen=True)
class HardSwish(Layer):
    """x * min(max(0, x + 3), 6) / 6 (Howard et al. 2019, MobileNetV3)."""

    name: ClassVar[str] = "hardswish"


@dataclass(frozen=True)
class GELU(Layer):
    """x * Phi(x) with the exact normal distribution function (Hendrycks and Gimpel 2016)."""

    name: ClassVar[str] = "gelu"


@dataclass(frozen=True)
class Mish(Layer):
    """x * tanh(log(1 + exp(x))) (Misra 2020)."""

    name: ClassVar[str] = "mish"


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""

    name: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"


ACTIVATIONS: dict[str, type[Layer]] = {
    kind.name: kind for kind in (ReLU, LeakyReLU, ReLU6, ELU, Swish, HardSwish, GELU, Mish, Tanh, Sigmoid)
}
