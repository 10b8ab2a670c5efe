"""The learning rate as a pure function of the step, per optimizer step and without state.

Step 0 is the first update. A curve starts there with `start`, is at its peak (`optim.lr`) when the warm-up
ends, and reaches `final` at `total_steps`, just after the last update.
"""

import math

from cnnlab.core.errors import RecipeError
from cnnlab.recipe.schedule import (
    Constant,
    Cosine,
    Linear,
    MultiStep,
    OneCycle,
    Schedule,
    Step,
    Warmup,
    WarmupHoldCosine,
)


def lr_at(schedule: Schedule, base_lr: float, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The learning rate of update number `step` (from 0). Raises RecipeError where the warm-up never ends."""
    return base_lr * _factor(schedule, step, steps_per_epoch, total_steps)


def _factor(schedule: Schedule, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The rate at `step` as a multiple of the base rate."""
    match schedule:
        case Constant():
            return 1.0
        case Step(decay_epochs=decay, gamma=gamma):
            return gamma ** (step // max(1, decay.steps(steps_per_epoch, total_steps)))
        case MultiStep(milestones=milestones, gamma=gamma):
            return gamma ** sum(step >= length.steps(steps_per_epoch, total_steps) for length in milestones)
        case Cosine(final=final):
            return _cosine(1.0, final, step / total_steps)
        case Linear(final=final):
            return _line(1.0, final, step / total_steps)
    warmup = schedule.warmup.steps(steps_per_epoch, total_steps)
    hold = schedule.hold.steps(steps_per_epoch, total_steps) if isinstance(schedule, WarmupHoldCosine) else 0
    if warmup + hold > total_steps:
        raise RecipeError(
            f"schedule.warmup: with its hold {warmup + hold} steps, but the training has {total_steps}"
        )
    if step < warmup:
        return _line(schedule.start, 1.0, step / warmup)
    if isinstance(schedule, Warmup) or step < warmup + hold:
        return 1.0
    progress = (step - warmup - hold) / max(1, total_steps - warmup - hold)
    straight = isinstance(schedule, OneCycle) and schedule.down == "linear"
    return (_line if straight else _cosine)(1.0, schedule.final, progress)


def _line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
