"""Learning-rate schedules: one class each, values only; `optim/schedules.py` evaluates them.

Every schedule is relative to `optim.lr`, the highest rate: `start` and `final` are fractions of it. Lengths are
durations ("8ep", "500it", "10%") or whole epochs.
"""

from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from cnnlab.core.duration import Duration
from cnnlab.recipe.values import Fraction, Length, Positive, PositiveLength, Section


class Constant(Section):
    """`optim.lr` from the first step to the last."""

    name: Literal["constant"] = "constant"


class Step(Section):
    """Multiply by `gamma` after every `decay_epochs`."""

    name: Literal["step"] = "step"
    decay_epochs: PositiveLength
    gamma: Positive = 0.1


class MultiStep(Section):
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


class Cosine(Section):
    """Half a cosine from `optim.lr` down to `final`."""

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.0


class Linear(Section):
    """A straight line from `optim.lr` down to `final`."""

    name: Literal["linear"] = "linear"
    final: Fraction = 0.0


class Warmup(Section):
    """A straight line from `start` up to `optim.lr`, then constant."""

    name: Literal["warmup"] = "warmup"
    warmup: Length = Duration(5, "%")
    start: Fraction = 0.0


class WarmupHoldCosine(Section):
    """Linear up to `optim.lr`, held there, then half a cosine to `final`.

    With `optim.lr = 3e-3` the defaults rise from 3e-4 over 10 %, hold for 40 % and fall to 1e-6.
    """

    name: Literal["warmup-hold-cosine"] = "warmup-hold-cosine"
    warmup: Length = Duration(10, "%")
    hold: Length = Duration(40, "%")
    start: Fraction = 0.1
    final: Fraction = 1 / 3000


class OneCycle(Section):
    """Linear up to `optim.lr` over `warmup`, then `down` to `final` (Smith & Topin, arXiv:1708.07120)."""

    name: Literal["onecycle"] = "onecycle"
    warmup: Length = Duration(30, "%")
    start: Fraction = 0.04
    final: Fraction = 0.0
    down: Literal["cosine", "linear"] = "cosine"


Schedule = Constant | Step | MultiStep | Cosine | Linear | Warmup | WarmupHoldCosine | OneCycle

SCHEDULES: dict[str, type[Section]] = {kind.model_fields["name"].default: kind for kind in get_args(Schedule)}
