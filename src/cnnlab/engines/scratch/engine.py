"""The from-scratch engine: a network, its optimizer and its splits in NumPy; see `cnnlab.engines.protocol.Engine`.

It computes what the torch engine computes, from the same draws, and reads and writes the same state.

Shape legend: B images of a batch, N of a split, H x W pixels, C channels, K classes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.augment import draw_epoch
from cnnlab.engines import dropout
from cnnlab.engines.batches import epoch_order, evaluation_batch, step_bounds
from cnnlab.engines.protocol import EpochTotals
from cnnlab.engines.scratch.images import ResidentImages
from cnnlab.engines.scratch.predictor import Teacher
from cnnlab.engines.scratch.threads import one_blas_thread
from cnnlab.engines.weighting import class_weights, ema_decay
from cnnlab.engines.weights import Arrays, fitted
from cnnlab.recipe import Recipe
from cnnlab.scratch.averages import Average
from cnnlab.scratch.losses import Criterion, Share, Total
from cnnlab.scratch.network import Network
from cnnlab.scratch.optimizers import SlowWeights, WorstPoint, add_l1, build_optimizer, clip_norm
from cnnlab.scratch.parameters import Parameters
from cnnlab.scratch.team import Team

Array = NDArray[Any]


class ScratchEngine:
    """A network and everything that training it needs."""

    def __init__(
        self,
        recipe: Recipe,
        architecture: Architecture,
        initial: Mapping[str, NDArray[Any]],
        splits: Mapping[str, ResidentImages],
        team: Team,
        dtype: Any = np.float32,
        teachers: list[Teacher] | None = None,
    ) -> None:
        """`initial`: the weights to start from. `teachers`: one for each thread, where the recipe distils."""
        self.recipe, self.architecture, self.splits, self.team = recipe, architecture, splits, team
        train = splits["train"]
        self.image_shape = train.image_shape
        trace = architecture.trace(self.image_shape)
        self.parameters = Parameters(trace.arrays, initial, dtype)
        self.network = Network(architecture, self.image_shape, self.parameters, team)
        optim = recipe.optim
        self.optimizer = build_optimizer(optim, self.parameters)
        self.average = Average(self.parameters) if recipe.train.ema or recipe.train.swa else None
        self.slow = SlowWeights(optim.lookahead, self.parameters) if optim.lookahead else None
        self.worst = WorstPoint(optim.sam, self.parameters) if optim.sam else None
        self.teachers = teachers
        (num_classes,) = trace.output_shape
        weights = class_weights(recipe.loss, train.labels_N, num_classes)
        self.criterion = Criterion(recipe.loss, None if weights is None else np.array(weights, np.float32))
        self._scored_together = evaluation_batch(architecture, self.image_shape)
        self.steps_per_epoch = recipe.train.steps_per_epoch(len(train))
        self.total_steps = recipe.train.total_steps(self.steps_per_epoch)
        self.updates = 0
        self._bad_step: int | None = None
        self._set_totals(0.0, 0, 0)

    def start_epoch(self, epoch: int) -> None:
        train, seed = self.splits["train"], self.recipe.seed
        channels, height, width = self.image_shape
        self._epoch, self._order_N = epoch, epoch_order(seed, epoch, len(train))
        train.arrange(self._order_N, draw_epoch(self.recipe.augment, seed, epoch, len(train), height, width, channels))
        self._words: dict[str, tuple[NDArray[np.int32], ...]] = {}
        self._set_totals(0.0, 0, 0)

    def masks(self, start: int, stop: int, path: str, units: int, p: float) -> Array:
        """The dropout mask, images x units, of the images start..stop of the epoch; see `engines/dropout.py`."""
        if path not in self._words:
            images_N, units_J = dropout.words(self.recipe.seed, path, self._epoch, len(self._order_N), units)
            self._words[path] = images_N[self._order_N], units_J
        images_N, units_J = self._words[path]
        return dropout.keep_mask(images_N[start:stop], units_J, p)

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        bounds = step_bounds(step_in_epoch, self.recipe.train.batch_size, len(self.splits["train"]))
        with one_blas_thread():
            loss, hits = self.backward(*bounds)
            if self.worst is not None:
                with self.worst.reached(self.network.gradients), self.network.frozen():
                    self.backward(*bounds)
            num_images = bounds[1] - bounds[0]
            self._loss_sum += loss * num_images
            self._correct += hits
            if self._bad_step is None and not np.isfinite(loss):
                self._bad_step = step_in_epoch
            self.update(lr)
            self._images += num_images
            is_end = step_in_epoch + 1 == self.steps_per_epoch or self.updates == self.total_steps
            if self.recipe.train.swa and is_end:
                self._include_epoch(bounds[1])

    def backward(self, start: int, stop: int) -> tuple[float, int]:
        """Add the gradient of the images start..stop of the epoch to the present one; returns loss and hits."""
        train = self.splits["train"]
        total = self.criterion.total(train.targets(start, stop))
        loss, hits = 0.0, 0
        for bounds in self._parts(start, stop):
            part_loss, part_hits = self.network.backward(train.gather, bounds, self._share(total), self.masks)
            loss, hits = loss + part_loss, hits + part_hits
        return loss, hits

    def _share(self, total: Total) -> Callable[[int, Array, Array, int, int], Share]:
        def share(rank: int, logits_BK: Array, images_HWBC: Array, start: int, stop: int) -> Share:
            taught = None if self.teachers is None else self.teachers[rank].logits(images_HWBC)
            return self.criterion(logits_BK, self.splits["train"].targets(start, stop), total, taught)

        return share

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Start and stop of the parts in which a batch is computed."""
        size = -(-(stop - start) // self.recipe.train.accumulate)
        for first in range(start, stop, size):
            yield first, min(first + size, stop)

    def update(self, lr: float) -> None:
        """One optimizer step with the present gradients, then clear them."""
        gradients = self.network.gradients
        if self.recipe.loss.l1:
            add_l1(gradients, self.parameters, self.recipe.loss.l1)
        if self.recipe.train.clip_norm:
            clip_norm(gradients, self.recipe.train.clip_norm)
        self.optimizer.step(gradients, lr)
        gradients.clear()
        self.updates += 1
        if self.slow is not None:
            self.slow.after_step(self.updates)
        if self.recipe.train.ema and self.average is not None:
            self.average.follow(ema_decay(self.recipe.train.ema, self.updates))

    def _include_epoch(self, num_images: int) -> None:
        """SWA: average the weights of this epoch's end, and measure the statistics of the average."""
        swa = self.recipe.train.swa
        assert swa is not None
        assert self.average is not None
        if self.updates <= swa.start.steps(self.steps_per_epoch, self.total_steps):
            return
        self.average.include()
        if not self.parameters.buffers.size:
            return
        size = self.recipe.train.batch_size
        with self.average.in_place():
            batches = [(start, min(start + size, num_images)) for start in range(0, num_images, size)]
            parts = [part for bounds in batches for part in self._parts(*bounds)]
            for index, part in enumerate(parts):
                self.network.measure(self.splits["train"].gather, *part, index + 1)
            self.average.vectors[-1][...] = self.parameters.buffers

    def first_bad_step(self) -> int | None:
        return self._bad_step

    def totals(self) -> EpochTotals:
        return EpochTotals(self._loss_sum, self._correct, self._images)

    def _set_totals(self, loss: float, correct: int, images: int) -> None:
        self._loss_sum, self._correct, self._images = loss, correct, images
        self._bad_step = None

    def logits(self, split: str) -> NDArray[np.float32]:
        resident, size = self.splits[split], self._scored_together
        with self._averaged(), one_blas_thread():
            batches = [
                self.network.logits(resident.stored, start, min(start + size, len(resident)))
                for start in range(0, len(resident), size)
            ]
        return np.concatenate(batches).astype(np.float32, copy=False)

    def labels(self, split: str) -> NDArray[np.int64]:
        return self.splits[split].labels_N

    def _averaged(self) -> AbstractContextManager[None]:
        """Inside, the network has the averaged weights where the recipe keeps them; afterwards its own again."""
        return nullcontext() if self.average is None else self.average.in_place()

    def state(self) -> Arrays:
        arrays: dict[str, NDArray[Any]] = {f"model.{name}": v for name, v in self.parameters.state().items()}
        arrays |= self.optimizer.state()
        if self.average is not None:
            arrays |= self.average.state()
        if self.slow is not None:
            arrays |= self.slow.state()
        if self.average is not None and self.average.is_kept:
            with self._averaged():
                arrays |= {f"averaged_model.{k}": np.array(v) for k, v in self.parameters.state().items()}
        arrays["progress.updates"] = np.array(self.updates)
        arrays["progress.loss_sum"] = np.array(self._loss_sum)
        arrays["progress.correct"] = np.array(self._correct)
        arrays["progress.images"] = np.array(self._images)
        return arrays

    def end_training(self) -> None:
        self.optimizer.memory.clear()
        self.network.drop_gradients()
        self.slow = self.worst = None

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        given = {name.removeprefix("model."): a for name, a in state.items() if name.startswith("model.")}
        self.parameters.load(fitted(self.architecture, self.image_shape, given))
        self.optimizer.load_state(state)
        self.updates = int(state["progress.updates"])
        if self.average is not None:  # runs before 0.9 stored no count; their average follows every step
            self.average.load_state(state, self.updates if self.recipe.train.ema else 0)
        if self.slow is not None:
            self.slow.load_state(state)
        loss, correct, images = (state[f"progress.{name}"] for name in ("loss_sum", "correct", "images"))
        self._set_totals(float(loss), int(correct), int(images))
