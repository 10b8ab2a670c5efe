"""What a plateau schedule remembers between epochs."""

from typing import NamedTuple

from cnnlab.recipe.schedule import Plateau


class Flat(NamedTuple):
    """How often the rate was lowered, the best value so far, and the epochs since then or since the last lowering."""

    reductions: int = 0
    best: float | None = None
    waited: int = 0

    def after(self, value: float, schedule: Plateau) -> "Flat":
        """After an epoch with this value of `schedule.monitor`; by the rules of torch's ReduceLROnPlateau."""
        falls = schedule.monitor == "val_loss"
        if self.best is None:
            improved = True
        elif falls:
            improved = value < self.best * (1 - schedule.min_delta)
        else:
            improved = value > self.best * (1 + schedule.min_delta)
        if improved:
            return Flat(self.reductions, value, 0)
        if self.waited + 1 > schedule.patience:
            return Flat(self.reductions + 1, self.best, 0)
        return Flat(self.reductions, self.best, self.waited + 1)
