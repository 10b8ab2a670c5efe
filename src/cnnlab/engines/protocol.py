"""What the training loop asks of an engine. Anything that answers these calls can be trained, saved and resumed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class EpochTotals:
    """Sums over the training images seen so far in this epoch, as the network was when it saw them."""

    loss: float
    correct: int
    images: int


class Engine(Protocol):
    """One network with its optimizer and its resident splits."""

    steps_per_epoch: int

    def start_epoch(self, epoch: int) -> None:
        """Derive order and augmentation of `epoch` (from 0) and set its totals to zero."""

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        """Forward, backward and update on one batch."""

    def first_bad_step(self) -> int | None:
        """The first step of this epoch whose loss was not finite. May wait for the device."""

    def totals(self) -> EpochTotals:
        """What this epoch's steps added up to. May wait for the device."""

    def logits(self, split: str) -> NDArray[np.float32]:
        """Logits N x K of a whole split in its stored order, in evaluation mode (averaged weights if kept)."""

    def labels(self, split: str) -> NDArray[np.int64]:
        """Labels N of a split in its stored order."""

    def state(self) -> Arrays:
        """Everything that training has changed, as named arrays."""

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue exactly from `state`. Raises RunError where it does not fit."""
