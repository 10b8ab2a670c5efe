"""The torch engine: a network, its optimizer and its splits on the device; see `cnnlab.engines.protocol.Engine`.

It is fast on small images because of, largest gain first: bf16 where the processor can multiply it, channels-last
layout everywhere, data on the device and augmented by one gather per batch, all weights in two long vectors.

Shape legend: B images of a batch, N of a split, C channels, H x W pixels, K classes.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnlab.arch import Architecture
from cnnlab.augment import draw_epoch
from cnnlab.engines.batches import epoch_order, evaluation_batch, step_bounds
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import EpochTotals
from cnnlab.engines.torch.averages import Average, Statistics
from cnnlab.engines.torch.devices import DTYPES
from cnnlab.engines.torch.fast import CountedDropout, fast
from cnnlab.engines.torch.flat import FlatModel
from cnnlab.engines.torch.optimizers import SlowWeights, at_worst_point, build_optimizer
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.engines.torch.targets import Criterion, Targets
from cnnlab.engines.torch.teacher import Teacher
from cnnlab.engines.weighting import class_weights, ema_decay
from cnnlab.engines.weights import Arrays, fitted
from cnnlab.recipe import Recipe
from cnnlab.runs.environment import Precision


class TorchEngine:
    """A network and everything that training it needs."""

    def __init__(
        self,
        recipe: Recipe,
        architecture: Architecture,
        model: nn.Sequential,
        splits: Mapping[str, ResidentSplit],
        normalisation: Normalisation,
        precision: Precision = "fp32",
        compiled: bool = False,
        teacher: Teacher | None = None,
    ) -> None:
        """`model` is the initialised network of `architecture`, on the device of the splits."""
        self.recipe = recipe
        self.architecture = architecture
        self.model = model
        self.splits = splits
        self.precision = precision
        train = splits["train"]
        self.device = train.labels.device
        self.image_shape = (train.num_channels, train.height, train.width)
        arrays = architecture.trace(self.image_shape).arrays
        weights = {each.name for each in arrays if each.is_weight}
        self.flat = FlatModel(model, weights, recipe.optim.decay_norm_and_bias)
        self.optimizer = build_optimizer(recipe.optim, self.flat.groups(recipe.optim.weight_decay))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        averages = recipe.train.ema or recipe.train.swa
        self.average = Average(self.flat.averaged_tensors()) if averages else None
        lookahead = recipe.optim.lookahead
        self.slow = SlowWeights(lookahead, self.flat.vectors) if lookahead else None
        self.teacher = teacher
        self._criterion = Criterion(recipe.loss, self._class_weights())
        self._fast = fast(model, architecture.layers, self.image_shape)
        self._forward = torch.compile(self._fast) if compiled else self._fast
        self._normalise = Normaliser(normalisation, train.height, train.width, DTYPES[precision], self.device)
        self._dropouts = [module for module in self._fast.modules() if isinstance(module, CountedDropout)]
        self._statistics = Statistics(self._fast)
        self._scored_together = evaluation_batch(architecture, self.image_shape)
        self.steps_per_epoch = recipe.train.steps_per_epoch(len(train))
        self.total_steps = recipe.train.total_steps(self.steps_per_epoch)
        self.updates = 0
        self._set_totals(0.0, 0, 0)

    def start_epoch(self, epoch: int) -> None:
        train, seed = self.splits["train"], self.recipe.seed
        order = epoch_order(seed, epoch, len(train))
        shape = (train.height, train.width, train.num_channels)
        drawn = draw_epoch(self.recipe.augment, seed, epoch, len(train), *shape)
        train.arrange(order, drawn)
        for dropout in self._dropouts:
            dropout.start_epoch(seed, epoch, order, self.device)
        self._set_totals(0.0, 0, 0)
        self._fast.train()

    def _class_weights(self) -> torch.Tensor | None:
        """The factor of each class, from the recipe or by its number of training images."""
        (num_classes,) = self.architecture.trace(self.image_shape).output_shape
        given = class_weights(self.recipe.loss, self.splits["train"].labels_N, num_classes)
        return None if given is None else torch.tensor(given, dtype=torch.float32, device=self.device)

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        start, stop = step_bounds(step_in_epoch, self.recipe.train.batch_size, len(self.splits["train"]))
        images, targets = self.splits["train"].gather(start, stop, self._normalise)
        losses, hits = self.backward(images, targets, start)
        if sam := self.recipe.optim.sam:
            with at_worst_point(self.flat.vectors, sam.rho), self._statistics.frozen():
                self.backward(images, targets, start)
        with torch.no_grad():
            self._loss_sum += losses * (stop - start)
            self._correct += hits
            bad = ~torch.isfinite(losses) & (self._bad_step < 0)
            self._bad_step.masked_fill_(bad, step_in_epoch)
        self.update(lr)
        self._images += stop - start
        if self.recipe.train.swa and (step_in_epoch + 1 == self.steps_per_epoch or self.updates == self.total_steps):
            self._include_epoch(stop)

    def backward(self, images: torch.Tensor, targets: Targets, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Add one batch's gradient to the present one, part by part; returns its loss and its hits.

        `place`: of its first image in the order of the epoch.
        """
        losses, hits = [], []
        for start, stop in self._parts(len(images)):
            part = targets if stop - start == len(images) else targets.part(start, stop)
            for dropout in self._dropouts:
                dropout.draw(place + start, place + stop)
            with self._autocast():
                logits = self._forward(images[start:stop])
            logits = logits.float()
            taught = None if self.teacher is None else self.teacher(images[start:stop])
            loss = self._criterion(logits, part, targets, taught)
            torch.autograd.backward(self.scaler.scale(loss))
            losses.append(loss.detach())
            hits.append(part.hits(logits.detach()))
        return torch.stack(losses).sum(), torch.stack(hits).sum()

    def _parts(self, num_images: int) -> Iterator[tuple[int, int]]:
        """Start and stop of the parts in which a batch is computed."""
        size = -(-num_images // self.recipe.train.accumulate)
        for start in range(0, num_images, size):
            yield start, min(start + size, num_images)

    def update(self, lr: float) -> None:
        """One optimizer step with the present gradients, then clear them."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.optimizer)
        with torch.no_grad():
            self._penalise_and_clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.flat.clear_gradients()
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
        size = self.recipe.train.batch_size
        with self.average.in_place(), torch.no_grad(), self._autocast():
            self._fast.eval()
            with self._statistics.measured():
                for start in range(0, num_images if self._statistics.layers else 0, size):
                    stop = min(start + size, num_images)
                    images, _ = self.splits["train"].gather(start, stop, self._normalise)
                    for first, last in self._parts(stop - start):
                        self._fast(images[first:last])
            if self._statistics.layers:
                self.average.tensors[-1].copy_(self.flat.buffers)
        self._fast.train()

    def _penalise_and_clip(self) -> None:
        weights = self.flat.weights
        if self.recipe.loss.l1:
            assert weights.grad is not None
            weights.grad.add_(weights.sign(), alpha=self.recipe.loss.l1)
        if self.recipe.train.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.flat.vectors, self.recipe.train.clip_norm)

    def first_bad_step(self) -> int | None:
        step = int(self._bad_step)
        return None if step < 0 else step

    def totals(self) -> EpochTotals:
        return EpochTotals(float(self._loss_sum), int(self._correct), self._images)

    def _set_totals(self, loss: float, correct: int, images: int) -> None:
        device = self.device
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._loss_sum = torch.tensor(loss, dtype=exact, device=device)
        self._correct = torch.tensor(correct, dtype=torch.int64, device=device)
        self._bad_step = torch.tensor(-1, device=device)
        self._images = images

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, DTYPES[self.precision], enabled=self.precision != "fp32")

    def logits(self, split: str) -> NDArray[np.float32]:
        resident = self.splits[split]
        batches = []
        self._fast.eval()
        with self._averaged(), torch.inference_mode(), self._autocast():
            for start in range(0, len(resident), self._scored_together):
                packed = resident.stored(start, min(start + self._scored_together, len(resident)))
                batches.append(self._fast(self._normalise(packed)).float())
        self._fast.train()
        return torch.cat(batches).cpu().numpy()

    def labels(self, split: str) -> NDArray[np.int64]:
        return self.splits[split].labels_N

    def _averaged(self) -> AbstractContextManager[None]:
        """Inside, the network has the averaged weights where the recipe keeps them; afterwards its own again."""
        return nullcontext() if self.average is None else self.average.in_place()

    def _further_tensors(self) -> dict[str, list[torch.Tensor]]:
        """Vectors besides the weights that training changes, by their name in a state."""
        found = {"average": self.average.tensors} if self.average is not None else {}
        return found | ({"lookahead": self.slow.tensors} if self.slow is not None else {})

    def state(self) -> Arrays:
        arrays = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, vector in enumerate(self.flat.vectors):
            for name, value in self.optimizer.state.get(vector, {}).items():
                if value is not None:  # SGD without momentum has an empty entry
                    arrays[f"optim.{index}.{name}"] = value
        for name, tensors in self._further_tensors().items():
            arrays |= {f"{name}.{index}": tensor for index, tensor in enumerate(tensors)}
        if self.average is not None and self.average.is_kept:
            arrays["progress.averaged"] = torch.tensor(self.average.count)
            with self._averaged():
                arrays |= {f"averaged_model.{k}": v.clone() for k, v in self.model.state_dict().items()}
        arrays["progress.updates"] = torch.tensor(self.updates)
        arrays["progress.loss_sum"] = self._loss_sum
        arrays["progress.correct"] = self._correct
        arrays["progress.images"] = torch.tensor(self._images)
        if self.scaler.is_enabled():
            arrays["scaler.scale"] = torch.tensor(self.scaler.get_scale())
            arrays["scaler.growth_tracker"] = torch.tensor(self.scaler.state_dict()["_growth_tracker"])
        return {name: tensor.detach().cpu().numpy() for name, tensor in arrays.items()}

    def end_training(self) -> None:
        self.optimizer.state.clear()
        self.flat.drop_gradients()
        self.slow = None

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        given = {name.removeprefix("model."): a for name, a in state.items() if name.startswith("model.")}
        weights = fitted(self.architecture, self.image_shape, given)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        tensors = {name: torch.from_numpy(value) for name, value in state.items()}
        for index, vector in enumerate(self.flat.vectors):
            prefix = f"optim.{index}."
            saved = {
                name.removeprefix(prefix): value.to(self.device, copy=True)
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
            if saved:
                self.optimizer.state[vector] = saved
        for name, kept in self._further_tensors().items():
            for index, tensor in enumerate(kept):
                tensor.copy_(tensors[f"{name}.{index}"])
        self.updates = int(tensors["progress.updates"])
        if self.average is not None:  # runs before 0.9 stored no count; their average follows every step
            without = self.updates if self.recipe.train.ema else 0
            self.average.count = int(tensors.get("progress.averaged", torch.tensor(without)))
        self._set_totals(
            float(tensors["progress.loss_sum"]), int(tensors["progress.correct"]), int(tensors["progress.images"])
        )
        if self.scaler.is_enabled():
            saved_scaler = self.scaler.state_dict()
            saved_scaler["scale"] = float(tensors["scaler.scale"])
            saved_scaler["_growth_tracker"] = int(tensors["scaler.growth_tracker"])
            self.scaler.load_state_dict(saved_scaler)
