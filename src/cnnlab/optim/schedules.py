"""The learning rate as a pure function of the optimizer step.

Step 0 is the first update. A curve starts there with `start`, has its peak (`optim.lr`) at the end of the warm-up,
and reaches its end at `total_steps`, after the last update.
"""

import math

from cnnlab.core.errors import RecipeError
from cnnlab.recipe import schedule as kinds


def lr_at(
    schedule: kinds.Schedule, base_lr: float, step: int, steps_per_epoch: int, total_steps: int, reductions: int = 0
) -> float:
    """The learning rate of update number `step` (from 0). Raises RecipeError if the phases are longer than all.

    `reductions`: how often a plateau schedule has lowered the rate so far; see `optim/plateau.py`.
    """
    phases = kinds.phases(schedule)
    steps = {name: length.steps(steps_per_epoch, total_steps) for name, length in phases.items()}
    excess = sum(steps.values()) - total_steps
    if excess > 0 and sum(length.amount for length in phases.values() if length.unit == "%") == 100:
        steps[max(steps, key=lambda name: steps[name])] -= excess  # rounded: 10% and 90% of 15 steps are 2 and 14
    elif excess > 0:
        named = " and ".join(f"{name} of {length}" for name, length in steps.items() if length)
        raise RecipeError(f"schedule.{next(iter(steps))}: {named} steps, but the training has {total_steps}")
    warmup, cooldown = steps["warmup"], steps.get("cooldown", 0)
    if step < warmup:
        return base_lr * _line(schedule.start, 1.0, step / warmup)
    factor = _factor(schedule, step, warmup + steps.get("hold", 0), steps_per_epoch, total_steps, reductions)
    if step > total_steps - cooldown:
        factor *= (total_steps - step) / cooldown
    return base_lr * factor


def _factor(
    schedule: kinds.Schedule, step: int, begin: int, steps_per_epoch: int, total_steps: int, reductions: int
) -> float:
    """The rate divided by the base rate, without warm-up and cool-down; curves fall from step `begin` on."""
    progress = max(0, step - begin) / max(1, total_steps - begin)
    match schedule:
        case kinds.Constant() | kinds.Warmup():
            return 1.0
        case kinds.Plateau(gamma=gamma, final=final):
            return max(_power(gamma, reductions), final)
        case kinds.Step(decay_epochs=decay, gamma=gamma):
            return _power(gamma, step // max(1, decay.steps(steps_per_epoch, total_steps)))
        case kinds.MultiStep(milestones=milestones, gamma=gamma):
            passed = sum(step >= length.steps(steps_per_epoch, total_steps) for length in milestones)
            return _power(gamma, passed)
        case kinds.Linear(final=final) | kinds.OneCycle(final=final, down="linear"):
            return _line(1.0, final, progress)
        case kinds.Cosine(final=final) | kinds.WarmupHoldCosine(final=final) | kinds.OneCycle(final=final):
            return _cosine(1.0, final, progress)


def _power(gamma: float, times: int) -> float:
    """gamma ** times; infinite where that is larger than any float, so that training reports a rate without bound."""
    try:
        return float(gamma**times)
    except OverflowError:
        return math.inf


def _line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
