"""Checks between the sections of a recipe. A problem is a line that starts with a path."""

from collections.abc import Iterator

from cnnlab.core.duration import Duration
from cnnlab.recipe.schedule import MultiStep, OneCycle, Schedule, Step, Warmup, WarmupHoldCosine
from cnnlab.recipe.sections import Data, Train


def early_stop_needs_val(train: Train, data: Data) -> Iterator[str]:
    """Early stopping uses val accuracy, so it needs a val split."""
    if train.early_stop is not None and data.val == 0:
        yield 'train.early_stop: needs a val split, but data.val is 0; set one, or early_stop to "none"'


def warmup_fits_budget(train: Train, schedule: Schedule) -> Iterator[str]:
    """Warm-up and hold must end before the training does.

    Lengths in steps need the data's size: `optim.schedules` checks them.
    """
    if not isinstance(schedule, Warmup | WarmupHoldCosine | OneCycle):
        return
    lengths = {"warmup": schedule.warmup}
    if isinstance(schedule, WarmupHoldCosine):
        lengths["hold"] = schedule.hold
    if sum(length.fraction(train.epochs) or 0.0 for length in lengths.values()) > 1 + 1e-9:
        named = " and ".join(f"{key} '{length}'" for key, length in lengths.items())
        yield f"schedule.warmup: {named} outlast {train.epochs} epochs (train.epochs); shorten it"


def suspicions(train: Train, schedule: Schedule) -> Iterator[str]:
    """Settings that are allowed but have no effect."""
    epochs = train.epochs
    if isinstance(schedule, Step) and _outlasts(schedule.decay_epochs, epochs):
        yield f"schedule.decay_epochs: '{schedule.decay_epochs}' is not within {epochs} epochs, no decay"
    if isinstance(schedule, MultiStep):
        for milestone in schedule.milestones:
            if _outlasts(milestone, epochs):
                yield f"schedule.milestones: '{milestone}' is not within {epochs} epochs"
    if train.early_stop is not None and train.early_stop.patience >= epochs:
        yield f"train.early_stop.patience: {train.early_stop.patience} never stops {epochs} epochs early"


def _outlasts(length: Duration, epochs: int) -> bool:
    fraction = length.fraction(epochs)
    return fraction is not None and fraction >= 1
