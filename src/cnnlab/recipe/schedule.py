"""Learning-rate schedules: one class each, values only; `optim/schedules.py` evaluates them.

Every schedule is relative to `optim.lr`, the highest rate: `start` and `final` are fractions of it. Lengths are
durations ("8ep", "500it", "10%") or whole epochs.

Every schedule can begin with a warm-up, a straight line from `start` up to `optim.lr`. A curve that falls continuously
(cosine, linear) begins after it; the epochs of steps and milestones count from the start of the training.
"""

from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from cnnlab.core.duration import Duration
from cnnlab.recipe.values import BelowOne, Fraction, Length, Positive, PositiveLength, Section

_NONE = Duration(0, "ep")


class _Schedule(Section):
    """What every schedule has."""

    name: str
    warmup: Length = _NONE
    start: Fraction = 0.0


class _Cooling(_Schedule):
    """A schedule that can end with a `cooldown`: a straight line from its rate there down to 0."""

    cooldown: Length = _NONE


class Constant(_Cooling):
    """`optim.lr` from the first step to the last."""

    name: Literal["constant"] = "constant"


class Step(_Cooling):
    """Multiply by `gamma` after every `decay_epochs`."""

    name: Literal["step"] = "step"
    decay_epochs: PositiveLength
    gamma: Positive = 0.1


class MultiStep(_Cooling):
    """Multiply by `gamma` at each milestone."""

    name: Literal["multistep"] = "multistep"
    milestones: Annotated[tuple[PositiveLength, ...], Field(strict=False, min_length=1)]
    gamma: Positive = 0.1

    @field_validator("milestones")
    @classmethod
    def _increasing(cls, milestones: tuple[Duration, ...]) -> tuple[Duration, ...]:
        for earlier, later in pairwise(milestones):
            if earlier.unit == later.unit and earlier.amount >= later.amount:
                raise ValueError(f"received '{earlier}' before '{later}', expected milestones in increasing order")
        return milestones


class Cosine(_Schedule):
    """Half a cosine from `optim.lr` down to `final`."""

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.0


class Linear(_Schedule):
    """A straight line from `optim.lr` down to `final`."""

    name: Literal["linear"] = "linear"
    final: Fraction = 0.0


class Warmup(_Cooling):
    """A straight line from `start` up to `optim.lr`, then constant: `constant` with another default."""

    name: Literal["warmup"] = "warmup"
    warmup: Length = Duration(5, "%")
    start: Fraction = 0.0


class WarmupHoldCosine(_Schedule):
    """Linear up to `optim.lr`, held there, then half a cosine to `final`.

    With `optim.lr = 3e-3` the defaults rise from 3e-4 over 10 %, hold for 40 % and fall to 1e-6.
    """

    name: Literal["warmup-hold-cosine"] = "warmup-hold-cosine"
    warmup: Length = Duration(10, "%")
    hold: Length = Duration(40, "%")
    start: Fraction = 0.1
    final: Fraction = 1 / 3000


class OneCycle(_Schedule):
    """Linear up to `optim.lr` over `warmup`, then `down` to `final` (Smith & Topin, arXiv:1708.07120)."""

    name: Literal["onecycle"] = "onecycle"
    warmup: Length = Duration(30, "%")
    start: Fraction = 0.04
    final: Fraction = 0.0
    down: Literal["cosine", "linear"] = "cosine"


class Plateau(_Cooling):
    """Multiply by `gamma` when `monitor` has not improved for more than `patience` epochs, down to `final` at least.

    An improvement is larger than `min_delta` of the best value so far (a part of it, not a difference).
    """

    name: Literal["plateau"] = "plateau"
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    gamma: Annotated[Positive, Field(lt=1)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    min_delta: BelowOne = 1e-4
    final: Fraction = 0.0


Schedule = Constant | Step | MultiStep | Cosine | Linear | Warmup | WarmupHoldCosine | OneCycle | Plateau

SCHEDULES: dict[str, type[Section]] = {kind.model_fields["name"].default: kind for kind in get_args(Schedule)}


def phases(schedule: Schedule) -> dict[str, Duration]:
    """The phases of fixed length that a schedule has: warm-up, hold, cool-down."""
    found = {"warmup": schedule.warmup}
    if isinstance(schedule, WarmupHoldCosine):
        found["hold"] = schedule.hold
    if isinstance(schedule, _Cooling):
        found["cooldown"] = schedule.cooldown
    return found
