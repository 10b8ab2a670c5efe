"""What an engine is: the few names that its package exports, and the calls that the training loop makes.

An engine's package exports `prepare` and `network`. `launch` chooses it by name (`engines/registry.py`); whatever
answers these calls can be trained, saved, resumed, scored and predicted with.

Shape legend: N images, H x W pixels, C channels, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape
from cnnlab.data import Split
from cnnlab.engines.execution import Execution, ExecutionOptions, Settled
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.weights import Arrays
from cnnlab.recipe import Recipe


@dataclass(frozen=True)
class Parts:
    """What a training sees: its labelled splits (`train`, and `val` and `test` where there are any)."""

    splits: Mapping[str, Split]
    normalisation: Normalisation
    num_classes: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        height, width, channels = self.splits["train"].images.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class EpochTotals:
    """Sums over the training images seen so far in this epoch, as the network was when it saw them."""

    loss: float
    correct: float
    images: int


@dataclass(frozen=True)
class Start:
    """The untrained network on the first stored batch, in training mode as the first step sees it.

    `loss`: cross-entropy. `spread`: standard deviation of a logit over the images, mean of the classes. `gradients`:
    root mean square of the loss's gradient, for the weights of the first and of the last layer that has any.
    """

    loss: float
    spread: float
    gradients: tuple[float, float]


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
        """Everything that training has changed, as named arrays.

        The network's are named as its architecture names them: `model.` before each, and `averaged_model.` before
        those of the averaged network where the recipe keeps one.
        """

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue exactly from `state`. Raises WeightsError where it does not fit."""


class Network(Protocol):
    """A trained network, ready to answer: always in float32, so that every machine gives the same answer."""

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N x K of decoded images."""

    def weights(self) -> Arrays:
        """Every array of the network, by name."""


@dataclass(frozen=True)
class Prepared:
    """An engine before its first step, how it will execute, and what to tell the person watching."""

    engine: Engine
    execution: Execution
    start: Start
    notes: tuple[str, ...] = ()


class EngineModule(Protocol):
    """What the package of an engine exports."""

    def prepare(
        self,
        recipe: Recipe,
        architecture: Architecture,
        parts: Parts,
        options: ExecutionOptions,
        settled: Settled | None,
    ) -> Prepared:
        """Build, initialise and check the network, choose how to run it; `settled` choices are not made again.

        Raises CnnlabError for what the user can mend, before anything is written.
        """

    def network(
        self,
        architecture: Architecture,
        image_shape: Shape,
        normalisation: Normalisation,
        weights: Mapping[str, NDArray[Any]],
        device: str = "cpu",
    ) -> Network:
        """The network with these weights, on `device` where this machine has it, else on the CPU."""
