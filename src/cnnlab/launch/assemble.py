"""From a recipe to an engine that is ready for its first step, in named steps that each return a value."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.trace import Trace
from cnnlab.core.errors import CnnlabError, DataError, DivergedError
from cnnlab.data import NAMED_SOURCES, Dataset, Split, channel_statistics, load, split_indices
from cnnlab.engines.execution import Choice, Settled
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import Parts, Prepared, Start
from cnnlab.engines.registry import engine_module
from cnnlab.launch.environment import describe_machine, not_bitwise
from cnnlab.launch.options import Options
from cnnlab.launch.preflight import check_fit
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import ChannelStatistics
from cnnlab.runs.environment import Environment, now
from cnnlab.training.diagnosis import start_warnings

# The split does not depend on the recipe's seed: replicates under several seeds are compared on the same images.
_SPLIT_SEED = 0

Indices = dict[str, NDArray[np.int64]]
_statistics: dict[tuple[object, ...], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}


@dataclass(frozen=True)
class Assembled:
    """An engine before its first step, and what it was made of.

    `indices`: the places in the source of each split's images. `environment` goes into the run, `notes` are for the
    person watching.
    """

    prepared: Prepared
    dataset: Dataset
    trace: Trace
    indices: Indices
    environment: Environment
    notes: tuple[str, ...]


def assemble(recipe: Recipe, options: Options, earlier: Environment | None = None) -> Assembled:
    """Load the data, build and check the network, choose how to run it.

    `earlier` is the environment of the run that is resumed: choices are not made again, data are looked for where
    they were. Raises CnnlabError (DataError, ArchitectureError ...) before anything is written.
    """
    engine = engine_module(options.engine)
    dataset = find_data(recipe, options, earlier)
    parts, indices = split_parts(recipe, dataset)
    architecture = recipe.arch.build(dataset.image_shape, len(dataset.classes))
    trace = architecture.trace(dataset.image_shape)
    check_fit(recipe, trace, dataset, len(parts.splits["train"]))
    prepared = engine.prepare(recipe, architecture, parts, options, _settled(earlier))
    check_finite(prepared.start)
    environment = describe(recipe, options, dataset, parts, architecture, trace, prepared)
    notes = [*recipe.warnings, *prepared.notes, *start_warnings(prepared.start, len(dataset.classes))]
    if earlier and (changed := not_bitwise(earlier, environment)):
        notes.append(changed)
    return Assembled(prepared, dataset, trace, indices, environment, tuple(notes))


def find_data(recipe: Recipe, options: Options, earlier: Environment | None) -> Dataset:
    """The data set by its name; one given by a path, where it was when the run began. Raises DataError."""
    source = recipe.data.source
    if earlier and source not in NAMED_SOURCES:
        source = earlier.data.location or source
    return load(
        source,
        data_dir=options.data_dir,
        download=options.download,
        size=recipe.data.size,
        progress=options.download_display,
    )


def split_parts(recipe: Recipe, dataset: Dataset) -> tuple[Parts, Indices]:
    """The labelled splits that this run trains on and scores, and the places of their images in the source."""
    labels = dataset.train.labels
    if labels is None:
        raise DataError(f"{dataset.name}: its training images have no labels; training needs them")
    train, val = split_indices(labels, recipe.data.val, _SPLIT_SEED)
    train = train[: recipe.data.train_limit]
    splits = {"train": Split(dataset.train.images[train], labels[train])}
    indices = {"train": train}
    if len(val):
        splits["val"] = Split(dataset.train.images[val], labels[val])
        indices["val"] = val
    if dataset.test is not None and dataset.test.labels is not None:
        splits["test"] = dataset.test
        indices["test"] = np.arange(len(dataset.test))
    elif recipe.train.test_curve:
        raise DataError(f"{dataset.name} has no labelled test split; use --set train.test_curve=false")
    return Parts(splits, normalisation_of(recipe, dataset, splits["train"]), len(dataset.classes)), indices


def normalisation_of(recipe: Recipe, dataset: Dataset, train: Split) -> Normalisation:
    """The statistics that the recipe asks for; those of the training images are of exactly these images."""
    channels = dataset.image_shape[0]
    match recipe.data.normalize:
        case "train":
            shown = (dataset.digest, recipe.data.size, recipe.data.val, recipe.data.train_limit)
            if shown not in _statistics:  # the trainings of a study see the same images
                _statistics[shown] = channel_statistics(train.images)
            mean, std = _statistics[shown]
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


def check_finite(start: Start) -> None:
    """Raises DivergedError where already the untrained network gives numbers that are not finite."""
    if not all(map(math.isfinite, (start.loss, start.spread, *start.gradients))):
        raise DivergedError(
            f"before the first step the loss is {start.loss:g} and the gradients of the first and last layer are "
            f"{', '.join(f'{size:g}' for size in start.gradients)}, expected finite numbers; look at data.normalize"
        )


def describe(
    recipe: Recipe,
    options: Options,
    dataset: Dataset,
    parts: Parts,
    architecture: Architecture,
    trace: Trace,
    prepared: Prepared,
) -> Environment:
    """What the run remembers of machine, data, device, choices and network."""
    execution = prepared.execution
    location = dataset.location
    facts = {
        **describe_machine(),
        "recipe_hash": recipe.hash,
        "created": now(),
        "engine": options.engine,
        "data": {
            "name": dataset.name,
            "digest": dataset.digest,
            "classes": list(dataset.classes),
            "image_shape": list(dataset.image_shape),
            "location": location if dataset.name in NAMED_SOURCES else str(Path(location).absolute()),
            "images": {name: len(split) for name, split in parts.splits.items()},
            "mean": list(parts.normalisation.mean),
            "std": list(parts.normalisation.std),
            "seconds_to_load": dataset.seconds_to_load,
        },
        "device": {
            "kind": execution.device.partition(":")[0],
            "name": execution.device_name,
            "memory_before_model": execution.memory_before_model,
            "memory_after_model": execution.memory_after_model,
        },
        "execution": {
            "threads": execution.threads,
            "workers": options.workers,
            "precision": asdict(execution.precision),
            "compile": asdict(execution.compile),
        },
        "architecture": {"text": str(architecture), "parameters": trace.parameters, "macs": trace.macs},
        "initial_loss": prepared.start.loss,
        "initial_spread": prepared.start.spread,
        "initial_gradients": list(prepared.start.gradients),
    }
    return Environment.model_validate(facts)


def _settled(earlier: Environment | None) -> Settled | None:
    if earlier is None:
        return None
    chosen = earlier.execution
    return Settled(chosen.threads, Choice(**dict(chosen.precision)), Choice(**dict(chosen.compile)))
