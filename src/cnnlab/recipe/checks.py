"""Checks between the sections of a recipe. A problem is a line that starts with a path."""

from collections.abc import Iterator

from cnnlab.core.duration import Duration
from cnnlab.recipe.schedule import MultiStep, Plateau, Schedule, Step, phases
from cnnlab.recipe.sections import Data, Loss, Train


def val_is_there(train: Train, data: Data, schedule: Schedule | None) -> Iterator[str]:
    """Early stopping and the plateau schedule use scores on val, so they need a val split."""
    if data.val:
        return
    if train.early_stop is not None:
        yield 'train.early_stop: needs a val split, but data.val is 0; set one, or early_stop to "none"'
    if isinstance(schedule, Plateau):
        yield "schedule.monitor: plateau needs a val split, but data.val is 0; set one, or choose another schedule"


def phases_fit_budget(train: Train, schedule: Schedule) -> Iterator[str]:
    """Warm-up, hold and cool-down must fit into the training.

    Lengths that need the data's size are checked by `optim.schedules`.
    """
    lengths = phases(schedule)
    if sum(length.fraction(train.budget) or 0.0 for length in lengths.values()) > 1 + 1e-9:
        named = " and ".join(f"{key} '{length}'" for key, length in lengths.items() if length.amount)
        budget = f"{train.epochs} epochs" if isinstance(train.epochs, int) else f"'{train.epochs}'"
        yield f"schedule.{next(iter(lengths))}: {named} outlast {budget} (train.epochs); shorten it"


def suspicions(train: Train, schedule: Schedule, loss: Loss) -> Iterator[str]:
    """Settings that are allowed but have no effect."""
    budget = train.budget
    if isinstance(schedule, Step) and _outlasts(schedule.decay_epochs, budget):
        yield f"schedule.decay_epochs: '{schedule.decay_epochs}' is not within {train.epochs} epochs, no decay"
    if isinstance(schedule, MultiStep):
        for milestone in schedule.milestones:
            if _outlasts(milestone, budget):
                yield f"schedule.milestones: '{milestone}' is not within {train.epochs} epochs"
    if train.early_stop is not None and isinstance(train.epochs, int) and train.early_stop.patience >= train.epochs:
        yield f"train.early_stop.patience: {train.early_stop.patience} never stops {train.epochs} epochs early"
    if isinstance(schedule, Plateau) and isinstance(train.epochs, int) and schedule.patience + 1 >= train.epochs:
        yield f"schedule.patience: {schedule.patience} never lowers the rate within {train.epochs} epochs"
    if train.swa is not None and (train.swa.start.fraction(budget) or 0.0) >= 1:
        yield f"train.swa.start: '{train.swa.start}' is not within {train.epochs} epochs, nothing is averaged"
    if loss.gamma != Loss().gamma and loss.name != "focal":
        yield f"loss.gamma: {loss.gamma:g} has no effect on {loss.name}, only on loss.name = focal"


def _outlasts(length: Duration, budget: Duration) -> bool:
    fraction = length.fraction(budget)
    return fraction is not None and fraction >= 1
