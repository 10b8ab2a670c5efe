"""Engines, made and driven for comparison with the reference: the one place that knows how both are done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.scratch.engine import ScratchEngine
from cnnlab.engines.scratch.images import ResidentImages
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.engines.torch.network import with_weights
from cnnlab.engines.torch.resident import ResidentSplit
from cnnlab.recipe import Recipe
from cnnlab.scratch.team import Team
from cnnlab.training.bookkeeping import Progress
from cnnlab.training.loop import Loop
from cnnlab.training.signals import StopRequest

CPU = torch.device("cpu")


def shape_of(split: Split) -> tuple[int, int, int]:
    """(channels, height, width)."""
    height, width, channels = split.images.shape[1:]
    return channels, height, width


def torch_engine(
    recipe: Recipe,
    weights: Mapping[str, np.ndarray],
    parts: Mapping[str, Split],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> TorchEngine:
    """An engine before its first step, fp32 on the CPU, that starts from these weights and running statistics."""
    shape = shape_of(parts["train"])
    architecture = recipe.arch.build(shape, 1 + int(parts["train"].labels.max()))
    counts = {each.name: np.array(0) for each in architecture.trace(shape).arrays if each.role == "count"}
    model = with_weights(architecture, shape, {**counts, **weights})
    splits = {name: ResidentSplit(part, CPU) for name, part in parts.items()}
    return TorchEngine(recipe, architecture, model, splits, Normalisation(mean, std))


def scratch_engine(
    recipe: Recipe,
    weights: Mapping[str, np.ndarray],
    parts: Mapping[str, Split],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    threads: int = 1,
    dtype: Any = np.float32,
) -> ScratchEngine:
    """The same with the from-scratch engine."""
    shape = shape_of(parts["train"])
    architecture = recipe.arch.build(shape, 1 + int(parts["train"].labels.max()))
    counts = {each.name: np.array(0) for each in architecture.trace(shape).arrays if each.role == "count"}
    splits = {name: ResidentImages(part, Normalisation(mean, std), np.dtype(dtype)) for name, part in parts.items()}
    return ScratchEngine(recipe, architecture, {**counts, **weights}, splits, Team(threads), dtype)


def optimizer_memory(engine: TorchEngine | ScratchEngine) -> dict[str, dict[str, np.ndarray]]:
    """Parameter name -> what the optimizer remembers of it, found by where the parameter lies in its vector."""
    memory: dict[str, dict[str, np.ndarray]] = {}
    if isinstance(engine, ScratchEngine):
        return _scratch_memory(engine)
    for name, parameter in engine.model.named_parameters():
        for vector in engine.flat.vectors:
            place = (parameter.data_ptr() - vector.data_ptr()) // vector.element_size()
            if 0 <= place < vector.numel():
                remembered = engine.optimizer.state.get(vector, {})
                memory[name] = {
                    kind: torch.as_strided(value, parameter.shape, parameter.stride(), place).numpy().copy()
                    for kind, value in remembered.items()
                    if value is not None and value.numel() == vector.numel()
                }
    return memory


def _scratch_memory(engine: ScratchEngine) -> dict[str, dict[str, np.ndarray]]:
    parameters, found = engine.parameters, {}
    remembered = engine.optimizer.memory or [{} for _ in parameters.vectors]
    for name, view in parameters.by_name.items():
        for vector, kinds in zip(parameters.vectors, remembered, strict=True):
            place = (view.__array_interface__["data"][0] - vector.__array_interface__["data"][0]) // view.itemsize
            if 0 <= place < vector.size:
                parts = {kind: value[place : place + view.size].reshape(view.shape) for kind, value in kinds.items()}
                found[name] = {
                    kind: np.moveaxis(part, -1, 1) if part.ndim == 4 else part for kind, part in parts.items()
                }
    return found


@dataclass
class Trained:
    """What a training left, by the names of parameters and running statistics, and what each step saw."""

    weights: dict[str, np.ndarray]
    averaged: dict[str, np.ndarray]
    memory: dict[str, dict[str, np.ndarray]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


class _Steps:
    """The hook that remembers the loss of every batch, and every epoch's row."""

    def __init__(self, engine: TorchEngine | ScratchEngine) -> None:
        self.engine = engine
        self.rows: list[dict[str, Any]] = []
        self.losses: list[list[float]] = []

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        pass

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        totals = self.engine.totals()
        if step_in_epoch == 1:
            self.losses.append([])
            self._loss, self._images = 0.0, 0
        images = totals.images - self._images
        self.losses[-1].append((totals.loss - self._loss) / images)
        self._loss, self._images = totals.loss, totals.images

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.rows.append(dict(row))

    def on_save(self, engine: Any, progress: Progress, best: bool) -> None:
        pass


def trained(engine: TorchEngine | ScratchEngine, recipe: Recipe) -> Trained:
    """Run the real loop over the engine to the recipe's last epoch."""
    steps = _Steps(engine)
    Loop(recipe, engine, [steps], StopRequest(), Progress(), check_every_step=True).run()
    state = engine.state()

    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

    return Trained(under("model."), under("averaged_model."), optimizer_memory(engine), steps.rows, steps.losses)
