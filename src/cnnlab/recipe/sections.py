"""The tables of a recipe. Field names are the TOML keys and the `--set` paths."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    field_validator,
)

from cnnlab.core.errors import ArchitectureError
from cnnlab.recipe.values import BelowOne, Count, NonNegative, Optional, Positive, Real, Section

if TYPE_CHECKING:
    from cnnlab.arch import Architecture

# Options of a named architecture are checked with these before the data is known.
_REFERENCE_SHAPE, _REFERENCE_CLASSES = (3, 32, 32), 10


def _validation_size(value: Any) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0 <= value < 1:
        return value or 0
    raise ValueError(f"received {value!r}, expected a count of images, a fraction below 1, or 0 for none")


class ChannelStatistics(Section):
    """Subtract `mean`, divide by `std`: one number per channel, for pixels in 0..1."""

    mean: Annotated[tuple[Real, ...], Field(strict=False, min_length=1)]
    std: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]

    @field_validator("std")
    @classmethod
    def _as_many_as_means(cls, std: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        mean = info.data.get("mean", std)
        if len(mean) != len(std):
            raise ValueError(f"received {len(std)} numbers, expected {len(mean)}, as many as data.normalize.mean")
        return std


Normalize = Annotated[
    Annotated[Literal["train", "half", "none"], Tag("word")] | Annotated[ChannelStatistics, Tag("table")],
    Discriminator(lambda value: "table" if isinstance(value, dict | ChannelStatistics) else "word"),
]


class Data(Section):
    """The images. `train_limit` keeps only the first images of train, for quick tests.

    `size` (height, width): images of a folder or Parquet file are scaled and cropped to it.
    """

    source: Annotated[str, Field(min_length=1)] = "cifar10"
    val: Annotated[int | float, PlainValidator(_validation_size)] = 5000
    train_limit: Optional[Count] = None
    size: Optional[Annotated[tuple[Count, Count], Field(strict=False)]] = None
    normalize: Normalize = "train"


def _canonical_layers(value: Any) -> Any:
    """The canonical text of an architecture in text or list form; with parameters, the text on one line."""
    from cnnlab.arch import Architecture, parse
    from cnnlab.arch.expressions import has_parameters

    if isinstance(value, list | tuple):
        return str(Architecture.from_list(list(value)))
    if isinstance(value, str) and has_parameters(value):
        return " ".join(value.split())
    return str(parse(value)) if isinstance(value, str) else value


def _option_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"received {value!r}, expected a word, a number, true or false")
    return value


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """The values of parameters in layers: 2 and 2.0 are the same."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in options.items()
    }


class Arch(Section):
    """Either a named architecture with options, or layers (text or list; stored as canonical text).

    Layers with parameters such as `{width}` stay as they are written, and `options` are their values.

    `init`: distribution of the initial weights, see `engines/initial.py`.
    """

    name: Optional[str] = None
    layers: Annotated[Optional[str], BeforeValidator(_canonical_layers)] = None
    options: dict[str, Annotated[Any, BeforeValidator(_option_value)]] = Field(
        default_factory=dict, validate_default=True
    )
    init: Literal["auto", "torch", "lecun", "he", "glorot", "orthogonal"] = "auto"

    @field_validator("options")
    @classmethod
    def _buildable(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        name, layers = info.data.get("name"), info.data.get("layers")
        if "layers" not in info.data or "name" not in info.data:
            return options
        if (name is None) == (layers is None):
            received = "neither" if name is None else "both"
            raise ArchitectureError(f"received {received} of name and layers, expected one of them")
        from cnnlab.arch import NAMED, named, parse
        from cnnlab.arch.expressions import has_parameters

        if name is not None:
            named(name, input_shape=_REFERENCE_SHAPE, num_classes=_REFERENCE_CLASSES, **options)
            return NAMED[name].complete(options)
        assert layers is not None
        if has_parameters(layers):
            parse(layers, {**_parameters(options), "classes": _REFERENCE_CLASSES})
            return _parameters(options)
        if options:
            raise ArchitectureError(
                "options belong to a named architecture, or to layers with parameters such as {width}; "
                "write them into the layers instead"
            )
        return options

    def build(self, input_shape: tuple[int, int, int], num_classes: int) -> "Architecture":
        """The architecture for images of `input_shape` (C, H, W). Raises ArchitectureError."""
        from cnnlab.arch import named, parse
        from cnnlab.arch.expressions import has_parameters

        if self.layers is not None:
            parameters = {**self.options, "classes": num_classes} if has_parameters(self.layers) else None
            return parse(self.layers, parameters)
        assert self.name is not None
        return named(self.name, input_shape=input_shape, num_classes=num_classes, **self.options)


class _Optimizer(Section):
    lr: Positive
    weight_decay: NonNegative = 0.0
    decay_norm_and_bias: bool = True


class Sgd(_Optimizer):
    """Stochastic gradient descent; `weight_decay` is added to the gradient (L2)."""

    name: Literal["sgd"] = "sgd"
    momentum: BelowOne = 0.9
    nesterov: bool = False

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("received true, expected optim.momentum above 0 with it")
        return nesterov


class Adam(_Optimizer):
    """Adam; `weight_decay` is added to the gradient (L2)."""

    name: Literal["adam"] = "adam"
    betas: Annotated[tuple[BelowOne, BelowOne], Field(strict=False)] = (0.9, 0.999)
    eps: Positive = 1e-8


class AdamW(_Optimizer):
    """Adam with `weight_decay` applied directly to the weights."""

    name: Literal["adamw"] = "adamw"
    betas: Annotated[tuple[BelowOne, BelowOne], Field(strict=False)] = (0.9, 0.999)
    eps: Positive = 1e-8


Optimizer = Sgd | Adam | AdamW

OPTIMIZERS: dict[str, type[Section]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}


class Loss(Section):
    """Cross-entropy, plus `l1` times the sum of absolute weights. L2 is `optim.weight_decay`."""

    label_smoothing: BelowOne = 0.0
    l1: NonNegative = 0.0


class EarlyStop(Section):
    """Stop after `patience` epochs in which val accuracy did not rise by more than `min_delta` (0.01: one point)."""

    patience: Count = 10
    min_delta: BelowOne = 0.0


class Train(Section):
    """The budget and the training step. `drop_last` leaves out an incomplete last batch of an epoch."""

    epochs: Count
    batch_size: Count = 128
    drop_last: bool = False
    clip_norm: Optional[Positive] = None
    ema: Optional[Annotated[Real, Field(gt=0, lt=1)]] = None
    early_stop: Optional[EarlyStop] = None
    test_curve: bool = False

    def steps_per_epoch(self, num_images: int) -> int:
        """Number of batches of an epoch over `num_images`; an incomplete last one counts unless `drop_last`."""
        whole, rest = divmod(num_images, self.batch_size)
        return whole + (1 if rest and not (self.drop_last and whole) else 0)
