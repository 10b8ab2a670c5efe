"""From a recipe to an engine that is ready for its first step, and the verdict on what was chosen on the way."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnlab.arch import Architecture
from cnnlab.arch.trace import Trace
from cnnlab.core.errors import CnnlabError, DataError
from cnnlab.data import NAMED_SOURCES, Dataset, Split, channel_statistics, load, split_indices
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch import devices, trial
from cnnlab.engines.torch.engine import Execution, TorchEngine
from cnnlab.engines.torch.network import build, initialise
from cnnlab.engines.torch.pages import prepare_heap
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.launch.environment import describe_machine, not_bitwise
from cnnlab.launch.options import Options
from cnnlab.launch.preflight import check_fit, check_memory
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import ChannelStatistics
from cnnlab.training.diagnosis import initial_loss_warning

# The split does not depend on the recipe's seed: replicates under several seeds are compared on the same images.
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Assembled:
    """An engine before its first step. `environment` goes into the run, `notes` are for the person watching."""

    engine: TorchEngine
    dataset: Dataset
    architecture: Architecture
    trace: Trace
    indices: dict[str, NDArray[np.int64]]
    environment: dict[str, Any]
    notes: tuple[str, ...]


def assemble(recipe: Recipe, options: Options, earlier: dict[str, Any] | None = None) -> Assembled:
    """Load the data, build and check the network, choose how to run it.

    `earlier` is the environment of the run that is resumed: choices are not made again, data are looked for where
    they were. Raises CnnlabError (DataError, ArchitectureError ...) before anything is written.
    """
    prepare_heap()
    device = devices.choose_device(options.device)
    dataset = _find_data(recipe, options, earlier)
    parts, indices = _parts(recipe, dataset)
    architecture = recipe.arch.build(dataset.image_shape, len(dataset.classes))
    trace = architecture.trace(dataset.image_shape)
    check_fit(recipe, trace, dataset, len(parts["train"]))
    check_memory(trace, device)
    settled = earlier["execution"] if earlier else None
    threads = devices.choose_threads(options.threads or (settled or {}).get("threads"))
    normalisation = _normalisation(recipe, dataset, parts["train"])
    splits = {name: ResidentSplit(part, device) for name, part in parts.items()}

    model, memory = _place(architecture, dataset, recipe.seed, device)
    batch = _first_batch(recipe, splits["train"], normalisation)
    trial.check_model(model, trace, batch[0])
    loss = trial.initial_loss(model, *batch)
    steps = recipe.train.epochs * recipe.train.steps_per_epoch(len(splits["train"]))
    choices = _settle(recipe, options, model, batch, steps, settled)
    execution = Execution(device, choices["precision"].value, choices["compile"].value)
    environment = {
        **describe_machine(),
        "data": _describe_data(dataset, splits, normalisation),
        "device": {"kind": device.type, "name": devices.device_name(device), **memory},
        "execution": {"threads": threads, **{name: asdict(choice) for name, choice in choices.items()}},
        "architecture": {"text": str(architecture), "parameters": trace.parameters, "macs": trace.macs},
        "initial_loss": loss,
    }
    notes = [*recipe.warnings, initial_loss_warning(loss, len(dataset.classes))]
    notes += [not_bitwise(earlier, environment)] if earlier else []
    engine = TorchEngine(recipe, model, splits, normalisation, execution)
    return Assembled(
        engine, dataset, architecture, trace, indices, environment, tuple(note for note in notes if note)
    )


def _find_data(recipe: Recipe, options: Options, earlier: dict[str, Any] | None) -> Dataset:
    """The data set by its name; one given by a path, where it was when the run began."""
    source = recipe.data.source
    if earlier and source not in NAMED_SOURCES:
        source = earlier["data"]["location"]
    return load(
        source,
        data_dir=options.data_dir,
        download=options.download,
        size=recipe.data.size,
        progress=options.download_display,
    )


def _place(
    architecture: Architecture, dataset: Dataset, seed: int, device: torch.device
) -> tuple[nn.Module, dict[str, int]]:
    """The initialised network on the device, and the bytes in use there before and after it came."""
    before = devices.memory_in_use(device)
    model: nn.Module = build(architecture, dataset.image_shape)
    initialise(model, seed)
    model = model.to(device)
    devices.synchronise(device)
    return model, {"memory_before_model": before, "memory_after_model": devices.memory_in_use(device)}


def _parts(recipe: Recipe, dataset: Dataset) -> tuple[dict[str, Split], dict[str, NDArray[np.int64]]]:
    """The labelled splits that this run trains on and scores, and the places of their images in the source."""
    labels = dataset.train.labels
    if labels is None:
        raise DataError(f"{dataset.name}: its training images have no labels; training needs them")
    train, val = split_indices(labels, recipe.data.val, _SPLIT_SEED)
    train = train[: recipe.data.train_limit]
    parts = {"train": Split(dataset.train.images[train], labels[train])}
    indices = {"train": train}
    if len(val):
        parts["val"] = Split(dataset.train.images[val], labels[val])
        indices["val"] = val
    if dataset.test is not None and dataset.test.labels is not None:
        parts["test"] = dataset.test
        indices["test"] = np.arange(len(dataset.test))
    elif recipe.train.test_curve:
        raise DataError(f"{dataset.name} has no labelled test split; use --set train.test_curve=false")
    return parts, indices


def _normalisation(recipe: Recipe, dataset: Dataset, train: Split) -> Normalisation:
    channels = dataset.image_shape[0]
    match recipe.data.normalize:
        case "train":
            mean, std = channel_statistics(train.images)
            return Normalisation(tuple(mean.tolist()), tuple(np.maximum(std, 1e-3).tolist()))
        case "half":
            return Normalisation((0.5,) * channels, (0.5,) * channels)
        case "none":
            return Normalisation((0.0,) * channels, (1.0,) * channels)
        case ChannelStatistics(mean=given_mean, std=given_std):
            if len(given_mean) != channels:
                raise CnnlabError(
                    f"data.normalize: received {len(given_mean)} channels, {dataset.name} has {channels}"
                )
            return Normalisation(given_mean, given_std)


def _first_batch(
    recipe: Recipe, train: ResidentSplit, normalisation: Normalisation
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first stored images of train, normalised, float32: for trials, never for training."""
    size = min(recipe.train.batch_size, len(train))
    device = train.labels.device
    normalise = Normaliser(normalisation, train.height, train.width, torch.float32, device)
    return normalise(train.stored(0, size)), train.labels[:size]


def _settle(
    recipe: Recipe,
    options: Options,
    model: nn.Module,
    batch: tuple[torch.Tensor, torch.Tensor],
    total_steps: int,
    settled: dict[str, Any] | None,
) -> dict[str, trial.Choice]:
    """Precision and compilation: measured, or as an earlier session of this run settled them."""
    if settled is not None:
        return {name: trial.Choice(**settled[name]) for name in ("precision", "compile")}
    images, labels = batch
    candidates = devices.supported_precisions(images.device)
    precision = trial.choose_precision(recipe.precision, candidates, model, images, labels)
    compiled = trial.choose_compile(options.compile, precision.value, model, images, labels, total_steps)
    return {"precision": precision, "compile": compiled}


def _describe_data(
    dataset: Dataset,
    splits: dict[str, ResidentSplit],
    normalisation: Normalisation,
) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "location": dataset.location
        if dataset.name in NAMED_SOURCES
        else str(Path(dataset.location).absolute()),
        "images": {name: len(split) for name, split in splits.items()},
        "mean": list(normalisation.mean),
        "std": list(normalisation.std),
        "seconds_to_load": dataset.seconds_to_load,
    }
