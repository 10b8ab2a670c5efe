"""What an engine is: the names that its package exports, the calls of the training loop, and the engines by name.

An object with these methods can be trained, saved, resumed, scored and used for prediction.

Shape legend: N images, H x W pixels, C channels, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import CnnlabError
from cnnlab.core.suggest import did_you_mean
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.weights import Arrays
from cnnlab.recipe import Recipe
from cnnlab.runs.environment import DeviceFacts, ExecutionFacts

# A new engine is a package and a line here.
ENGINES = {"torch": "cnnlab.engines.torch", "scratch": "cnnlab.engines.scratch"}


@dataclass(frozen=True)
class TeacherNetwork:
    """The trained network that another one learns from. `digest`: SHA-256 of its weights."""

    architecture: Architecture
    weights: Arrays
    normalisation: Normalisation
    digest: str


@dataclass(frozen=True)
class Parts:
    """The input of a training: its labelled splits (`train`; `val` and `test` where they exist).

    `teacher`: the network that the recipe distils, if any, for images of the same shape and classes.
    """

    splits: Mapping[str, Split]
    normalisation: Normalisation
    num_classes: int
    teacher: TeacherNetwork | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        height, width, channels = self.splits["train"].images.shape[1:]
        return channels, height, width


class ExecutionOptions(Protocol):
    """The options that concern an engine. `threads` None: every core. `compile`: auto, on or off."""

    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def workers(self) -> int: ...
    @property
    def compile(self) -> str: ...


@dataclass(frozen=True)
class EpochTotals:
    """Sums over the training images of this epoch so far; each image counts as it was when the network saw it."""

    loss: float
    correct: float
    images: int


@dataclass(frozen=True)
class Start:
    """The untrained network on the first stored batch, in training mode as in the first step.

    `loss`: cross-entropy. `spread`: standard deviation of a logit over the images, mean of the classes. `gradients`:
    root mean square of the loss's gradient, for the weights of the first and of the last layer that has any.
    """

    loss: float
    spread: float
    gradients: tuple[float, float]


class Engine(Protocol):
    """One network with its optimizer and its splits in memory."""

    steps_per_epoch: int

    def start_epoch(self, epoch: int) -> None:
        """Compute order and augmentation of `epoch` (from 0) and set its totals to zero."""

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        """Forward, backward and update on one batch."""

    def first_bad_step(self) -> int | None:
        """The first step of this epoch whose loss was not finite. May wait for the device."""

    def totals(self) -> EpochTotals:
        """The sums of this epoch so far. May wait for the device."""

    def logits(self, split: str) -> NDArray[np.float32]:
        """Logits N x K of a whole split in its stored order, in evaluation mode (averaged weights if kept)."""

    def labels(self, split: str) -> NDArray[np.int64]:
        """Labels N of a split in its stored order."""

    def state(self) -> Arrays:
        """Everything that training has changed, as named arrays: views of memory that the next step may change.

        The network's arrays have the names of its architecture after `model.`; where the recipe keeps an averaged
        network, its arrays have them after `averaged_model.`.
        """

    def end_training(self) -> None:
        """Free what only training needs: gradients and the optimizer's memory. Logits can still be computed."""

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue exactly from `state`. Raises WeightsError where it does not fit."""


class Network(Protocol):
    """A trained network for prediction: always in float32, so machines differ in the last digits at most."""

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N x K of decoded images."""

    def weights(self) -> Arrays:
        """Every array of the network, by name."""


@dataclass(frozen=True)
class Prepared:
    """An engine before its first step, how it will execute, and notes for the user."""

    engine: Engine
    device: DeviceFacts
    execution: ExecutionFacts
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
        settled: ExecutionFacts | None,
    ) -> Prepared:
        """Build, initialise and check the network, choose how to run it.

        `settled` are the choices of an earlier session of the run; they are kept. Raises CnnlabError for what the
        user can correct, before anything is written.
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

    def free_memory(self, device: str) -> tuple[str, int | None]:
        """The device that `device` means on this machine, and its free bytes, None if unknown. Raises CnnlabError."""

    def release(self) -> None:
        """Free what ended trainings of this process left behind."""


def engine_module(name: str) -> EngineModule:
    """Import the package of an engine. Raises CnnlabError for an unknown name."""
    if name not in ENGINES:
        raise CnnlabError(f"--engine: received {name!r}{did_you_mean(name, ENGINES)}")
    return cast(EngineModule, import_module(ENGINES[name]))
