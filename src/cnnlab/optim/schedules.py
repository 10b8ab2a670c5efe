"""The learning rate as a pure function of the optimizer step.

Step 0 is the first update. A curve starts there with `start`, has its peak (`optim.lr`) at the end of the warm-up,
and reaches `final` at `total_steps`, after the last update.
"""

import math

from cnnlab.core.errors import RecipeError
from cnnlab.recipe import schedule as kinds


def lr_at(schedule: kinds.Schedule, base_lr: float, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The learning rate of update number `step` (from 0). Raises RecipeError if the warm-up does not end in time."""
    return base_lr * _factor(schedule, step, steps_per_epoch, total_steps)


def _factor(schedule: kinds.Schedule, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The rate at `step` divided by the base rate."""
    match schedule:
        case kinds.Constant():
            return 1.0
        case kinds.Step(decay_epochs=decay, gamma=gamma):
            return gamma ** (step // max(1, decay.steps(steps_per_epoch, total_steps)))
        case kinds.MultiStep(milestones=milestones, gamma=gamma):
            return gamma ** sum(step >= length.steps(steps_per_epoch, total_steps) for length in milestones)
        case kinds.Cosine(final=final):
            return _cosine(1.0, final, step / total_steps)
        case kinds.Linear(final=final):
            return _line(1.0, final, step / total_steps)
    warmup = schedule.warmup.steps(steps_per_epoch, total_steps)
    hold = schedule.hold.steps(steps_per_epoch, total_steps) if isinstance(schedule, kinds.WarmupHoldCosine) else 0
    if warmup + hold > total_steps:
        raise RecipeError(f"schedule.warmup: with its hold {warmup + hold} steps, but the training has {total_steps}")
    if step < warmup:
        return _line(schedule.start, 1.0, step / warmup)
    if isinstance(schedule, kinds.Warmup) or step < warmup + hold:
        return 1.0
    progress = (step - warmup - hold) / max(1, total_steps - warmup - hold)
    straight = isinstance(schedule, kinds.OneCycle) and schedule.down == "linear"
    return (_line if straight else _cosine)(1.0, schedule.final, progress)


def _line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
