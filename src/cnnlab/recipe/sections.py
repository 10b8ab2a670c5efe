"""The tables of a recipe. Field names are the TOML keys and the `--set` paths."""

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    ValidationInfo,
    field_validator,
)

from cnnlab.core.duration import Duration
from cnnlab.core.errors import ArchitectureError
from cnnlab.recipe.values import (
    BelowOne,
    Count,
    Fraction,
    Length,
    NonNegative,
    Optional,
    Positive,
    Real,
    Section,
)

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

    `size` (height, width): images of a folder or Parquet file are scaled and cropped to it. `label_noise`: the share
    of training images that get the label of another class, the same images under every seed.
    """

    source: Annotated[str, Field(min_length=1)] = "cifar10"
    val: Annotated[int | float, PlainValidator(_validation_size)] = 5000
    train_limit: Optional[Count] = None
    size: Optional[Annotated[tuple[Count, Count], Field(strict=False)]] = None
    normalize: Normalize = "train"
    label_noise: BelowOne = 0.0


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
            if "classes" in options:
                raise ArchitectureError(
                    "options.classes is the number of classes of the data and cannot be set; rename your parameter"
                )
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


class Lookahead(Section):
    """After every `steps` steps, go only `alpha` of the way, and start again there (Zhang et al. 2019)."""

    steps: Count = 5
    alpha: Annotated[Real, Field(gt=0, le=1)] = 0.5


class Sam(Section):
    """Use the gradient at the worst point within `rho` of the weights, to first order (Foret et al. 2021).

    Each step computes two gradients, so it takes twice as long.
    """

    rho: Positive = 0.05


class _Optimizer(Section):
    """`weight_decay` is added to the gradient (L2), except by AdamW."""

    lr: Positive
    weight_decay: NonNegative = 0.0
    decay_norm_and_bias: bool = True
    lookahead: Optional[Lookahead] = None
    sam: Optional[Sam] = None


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


class RmsProp(_Optimizer):
    """RMSprop (Hinton, 2012): the gradient divided by the root of a running mean of its square."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: BelowOne = 0.99
    eps: Positive = 1e-8
    momentum: BelowOne = 0.0
    centered: bool = False


class Adadelta(_Optimizer):
    """Adadelta (Zeiler, 2012): RMSprop whose step is scaled by a running mean of earlier steps; often with lr 1."""

    name: Literal["adadelta"] = "adadelta"
    rho: BelowOne = 0.9
    eps: Positive = 1e-6


Optimizer = Sgd | Adam | AdamW | RmsProp | Adadelta

OPTIMIZERS: dict[str, type[Section]] = {kind.model_fields["name"].default: kind for kind in get_args(Optimizer)}


class Distill(Section):
    """Learn from a trained network too (Hinton et al. 2015).

    The loss is 1 - `weight` of the labels' loss plus `weight` of T^2 KL(teacher || network), both softened by
    `temperature` T. `teacher`: a run folder or model file of the same classes.
    """

    teacher: Annotated[str, Field(min_length=1)]
    temperature: Annotated[Positive, Field(le=1e6)] = 4.0
    weight: Fraction = 0.9

    @field_validator("teacher")
    @classmethod
    def _lasting(cls, teacher: str) -> str:
        if teacher == "last":
            raise ValueError("received 'last', which is another run after the next one; expected a run's name")
        return teacher


class Loss(Section):
    """The loss of the labels, plus `l1` times the sum of absolute weights. L2 is `optim.weight_decay`.

    `name`: cross-entropy; focal, cross-entropy times (1 - p)^`gamma` of the label's probability p (Lin et al. 2017);
    or mse, the mean squared difference of the logits and the one-hot label. `class_weights`: one factor per class, or
    `balanced` for images / (classes x images of the class). All three use label smoothing and class weights.
    """

    name: Literal["cross-entropy", "focal", "mse"] = "cross-entropy"
    label_smoothing: BelowOne = 0.0
    gamma: NonNegative = 2.0
    class_weights: Optional[Literal["balanced"] | Annotated[tuple[Positive, ...], Field(strict=False)]] = None
    l1: Annotated[NonNegative, Field(le=1e6)] = 0.0
    distill: Optional[Distill] = None


class EarlyStop(Section):
    """Stop after `patience` epochs in which `monitor` did not improve by more than `min_delta`.

    Of accuracy 0.01 is one point; of the loss it is a difference in nats.
    """

    patience: Count = 10
    min_delta: BelowOne = 0.0
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"


class Swa(Section):
    """Score the mean of the weights at the ends of the epochs from `start` on (Izmailov et al. 2018).

    Its batch normalisation gets the statistics of the training images as they were augmented in the last epoch.
    """

    start: Length = Duration(75, "%")


def _written_budget(budget: int | Duration) -> int | str:
    return budget if isinstance(budget, int) else str(budget)


def _budget(value: Any) -> int | Duration:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    duration = Duration.parse(value) if isinstance(value, str | Duration) else None
    if duration is None or duration.unit == "%" or duration.amount < 1 or duration.amount % 1:
        raise ValueError(f"received {value!r}, expected a number of epochs from 1 on, or steps such as '64000it'")
    return int(duration.amount) if duration.unit == "ep" else duration


class Train(Section):
    """The budget and the training step. `drop_last` leaves out an incomplete last batch of an epoch.

    `epochs` may also be a number of steps, "64000it"; then the last epoch may be a part of one. `accumulate`: the
    gradient of a batch is computed in this many parts, with less memory; batch normalisation sees only a part.
    """

    epochs: Annotated[int | Duration, PlainValidator(_budget), PlainSerializer(_written_budget)]
    batch_size: Count = 128
    accumulate: Count = 1
    drop_last: bool = False
    clip_norm: Optional[Positive] = None
    ema: Optional[Annotated[Real, Field(gt=0, lt=1)]] = None
    swa: Optional[Swa] = None
    early_stop: Optional[EarlyStop] = None
    test_curve: bool = False

    @field_validator("accumulate")
    @classmethod
    def _at_most_one_image_each(cls, parts: int, info: ValidationInfo) -> int:
        if parts > info.data.get("batch_size", parts):
            raise ValueError(f"received {parts}, expected at most batch_size: a part has at least one image")
        return parts

    @field_validator("swa")
    @classmethod
    def _one_average(cls, swa: Swa | None, info: ValidationInfo) -> Swa | None:
        if swa is not None and info.data.get("ema") is not None:
            raise ValueError("received a table, and train.ema is set; expected one kind of averaged weights")
        return swa

    @property
    def budget(self) -> Duration:
        """`epochs` with its unit."""
        return self.epochs if isinstance(self.epochs, Duration) else Duration(self.epochs, "ep")

    def total_steps(self, steps_per_epoch: int) -> int:
        """All optimizer steps of the training."""
        return self.budget.steps(steps_per_epoch, 0)

    def total_epochs(self, steps_per_epoch: int) -> int:
        """All epochs, the last of which may be a part."""
        return math.ceil(self.total_steps(steps_per_epoch) / steps_per_epoch)

    def steps_per_epoch(self, num_images: int) -> int:
        """Number of batches of an epoch over `num_images`; an incomplete last one counts unless `drop_last`."""
        whole, rest = divmod(num_images, self.batch_size)
        return whole + (1 if rest and not (self.drop_last and whole) else 0)
