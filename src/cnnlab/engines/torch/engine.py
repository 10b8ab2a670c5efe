"""The torch engine: a network, its optimizer and its splits on the device; see `cnnlab.engines.protocol.Engine`.

It is fast on small images because of, largest gain first: bf16 where the processor can multiply it, channels-last
layout everywhere, data on the device and augmented by one gather per batch, all weights in two long vectors.

Shape legend: B images of a batch, N of a split, C channels, H x W pixels, K classes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnlab.arch import Architecture
from cnnlab.augment import draw_epoch
from cnnlab.engines.batches import epoch_order, step_bounds
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import EpochTotals
from cnnlab.engines.torch.devices import DTYPES
from cnnlab.engines.torch.fast import CountedDropout, fast
from cnnlab.engines.torch.flat import FlatModel, build_optimizer
from cnnlab.engines.torch.network import EVALUATION_BATCH
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit, Targets
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
        self.average = [t.clone() for t in self.flat.averaged_tensors()] if recipe.train.ema else []
        self._fast = fast(model, architecture.layers, self.image_shape)
        self._forward = torch.compile(self._fast) if compiled else self._fast
        self._normalise = Normaliser(normalisation, train.height, train.width, DTYPES[precision], self.device)
        self._dropouts = [module for module in self._fast.modules() if isinstance(module, CountedDropout)]
        self.steps_per_epoch = recipe.train.steps_per_epoch(len(train))
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

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        start, stop = step_bounds(step_in_epoch, self.recipe.train.batch_size, len(self.splits["train"]))
        images, targets = self.splits["train"].gather(start, stop, self._normalise)
        for dropout in self._dropouts:
            dropout.draw(start, stop)
        self.backward(images, targets, step_in_epoch)
        self.update(lr)
        self._images += stop - start

    def backward(self, images: torch.Tensor, targets: Targets, step_in_epoch: int) -> None:
        """Compute one batch's gradient, and add its loss and hits to the totals."""
        with self._autocast():
            logits = self._forward(images)
        logits = logits.float()
        loss = targets.loss(logits, self.recipe.loss.label_smoothing)
        torch.autograd.backward(self.scaler.scale(loss))
        with torch.no_grad():
            self._loss_sum += loss * len(logits)
            self._correct += targets.hits(logits)
            bad = ~torch.isfinite(loss) & (self._bad_step < 0)
            self._bad_step.masked_fill_(bad, step_in_epoch)

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
        if self.recipe.train.ema:
            # A small decay at first, so that the average forgets the initial weights (as in Adam).
            decay = min(self.recipe.train.ema, (1 + self.updates) / (10 + self.updates))
            torch._foreach_lerp_(self.average, self.flat.averaged_tensors(), 1 - decay)

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
            for start in range(0, len(resident), EVALUATION_BATCH):
                packed = resident.stored(start, min(start + EVALUATION_BATCH, len(resident)))
                batches.append(self._fast(self._normalise(packed)).float())
        self._fast.train()
        return torch.cat(batches).cpu().numpy()

    def labels(self, split: str) -> NDArray[np.int64]:
        return self.splits[split].labels_N

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the network has the averaged weights where the recipe keeps them; afterwards its own again."""
        if not self.average:
            yield
            return
        current = self.flat.averaged_tensors()
        kept = [tensor.clone() for tensor in current]
        torch._foreach_copy_(current, self.average)
        try:
            yield
        finally:
            torch._foreach_copy_(current, kept)

    def state(self) -> Arrays:
        arrays = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, vector in enumerate(self.flat.vectors):
            for name, value in self.optimizer.state.get(vector, {}).items():
                if value is not None:  # SGD without momentum has an empty entry
                    arrays[f"optim.{index}.{name}"] = value
        for index, average in enumerate(self.average):
            arrays[f"average.{index}"] = average
        if self.average:
            with self._averaged():
                arrays |= {f"averaged_model.{k}": v.clone() for k, v in self.model.state_dict().items()}
        arrays["progress.updates"] = torch.tensor(self.updates)
        arrays["progress.loss_sum"] = self._loss_sum
        arrays["progress.correct"] = self._correct
        arrays["progress.images"] = torch.tensor(self._images)
        if self.scaler.is_enabled():
            arrays["scaler.scale"] = torch.tensor(self.scaler.get_scale())
            arrays["scaler.growth_tracker"] = torch.tensor(self.scaler.state_dict()["_growth_tracker"])
        return {name: np.array(tensor.detach().cpu().numpy(), order="C") for name, tensor in arrays.items()}

    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        given = {name.removeprefix("model."): a for name, a in state.items() if name.startswith("model.")}
        weights = fitted(self.architecture, self.image_shape, given)
        self.model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        tensors = {name: torch.from_numpy(np.array(value)).to(self.device) for name, value in state.items()}
        for index, vector in enumerate(self.flat.vectors):
            prefix = f"optim.{index}."
            saved = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            if saved:
                self.optimizer.state[vector] = saved
        for index, average in enumerate(self.average):
            average.copy_(tensors[f"average.{index}"])
        self.updates = int(tensors["progress.updates"])
        self._set_totals(
            float(tensors["progress.loss_sum"]), int(tensors["progress.correct"]), int(tensors["progress.images"])
        )
        if self.scaler.is_enabled():
            saved_scaler = self.scaler.state_dict()
            saved_scaler["scale"] = float(tensors["scaler.scale"])
            saved_scaler["_growth_tracker"] = int(tensors["scaler.growth_tracker"])
            self.scaler.load_state_dict(saved_scaler)
