"""From a recipe to an engine that is ready for its first step, in named steps that each return a value."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch.layers import BatchNorm
from cnnlab.arch.trace import Trace
from cnnlab.augment.fit import misfits
from cnnlab.core.errors import CnnlabError, DataError, DivergedError
from cnnlab.data import NAMED_SOURCES, Dataset, Split, channel_statistics, split_indices
from cnnlab.data.label_noise import with_wrong_labels
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import Parts, Prepared, Start, TeacherNetwork, engine_module
from cnnlab.launch.environment import describe, not_bitwise
from cnnlab.launch.options import Options
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import ChannelStatistics, Distill, Train
from cnnlab.runs.environment import Environment
from cnnlab.runs.tensors import to_bytes
from cnnlab.training.diagnosis import start_warnings

# The split does not depend on the recipe's seed: replicates under several seeds are compared on the same images.
_SPLIT_SEED = 0

Indices = dict[str, NDArray[np.int64]]
_statistics: dict[tuple[object, ...], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}


@dataclass(frozen=True)
class Assembled:
    """An engine before its first step, and what it was made of.

    `indices`: the positions in the source of each split's images. `environment` is stored in the run, `notes` are for
    the user.
    """

    prepared: Prepared
    dataset: Dataset
    trace: Trace
    indices: Indices
    environment: Environment
    notes: tuple[str, ...]


def assemble(recipe: Recipe, options: Options, earlier: Environment | None = None) -> Assembled:
    """Load the data, build and check the network, choose how to run it.

    `earlier` is the environment of the run that is resumed: its choices are kept, and its data are expected in the
    same location. Raises CnnlabError (DataError, ArchitectureError ...) before anything is written.
    """
    engine = engine_module(options.engine)
    source = recipe.data.source
    if earlier and source not in NAMED_SOURCES:  # a path: the one at the start of the run
        source = earlier.data.location or source
    dataset = options.load(source, recipe.data.size)
    parts, indices = split_parts(recipe, dataset)
    if recipe.loss.distill is not None:
        parts = replace(parts, teacher=_teacher(recipe.loss.distill, dataset, options, earlier))
    architecture = recipe.arch.build(dataset.image_shape, len(dataset.classes))
    trace = architecture.trace(dataset.image_shape)
    check_fit(recipe, trace, dataset, len(parts.splits["train"]))
    prepared = engine.prepare(recipe, architecture, parts, options, earlier.execution if earlier else None)
    check_finite(prepared.start)
    environment = describe(recipe, options, dataset, parts, trace, prepared, str(architecture))
    notes = [
        *recipe.warnings,
        *_notes(recipe, parts),
        *prepared.notes,
        *start_warnings(prepared.start, len(dataset.classes)),
    ]
    if earlier and (changed := not_bitwise(earlier, environment)):
        notes.append(changed)
    return Assembled(prepared, dataset, trace, indices, environment, tuple(notes))


def split_parts(recipe: Recipe, dataset: Dataset) -> tuple[Parts, Indices]:
    """The labelled splits for training and scoring, and the positions of their images in the source."""
    labels = dataset.train.labels
    if labels is None:
        raise DataError(f"{dataset.name}: its training images have no labels; training needs them")
    train, val = split_indices(labels, recipe.data.val, _SPLIT_SEED)
    train = train[: recipe.data.train_limit]
    given = labels[train]
    if recipe.data.label_noise:
        if len(dataset.classes) < 2:
            raise DataError(f"data.label_noise: {dataset.name} has one class, so no label can be wrong; set it to 0")
        given = with_wrong_labels(given, recipe.data.label_noise, len(dataset.classes), _SPLIT_SEED)
    splits = {"train": Split(dataset.train.images[train], given)}
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


def _teacher(distill: Distill, dataset: Dataset, options: Options, earlier: Environment | None) -> TeacherNetwork:
    """The network that the recipe distils. Raises CnnlabError where it does not fit the data, or has changed."""
    from cnnlab.deploy.load import load_predictor  # torch: engines without it need no teacher

    predictor = load_predictor(distill.teacher, options.runs)
    weights = predictor.network.weights()
    digest = hashlib.sha256(to_bytes(weights)).hexdigest()
    problems = []
    if predictor.image_shape != dataset.image_shape:
        shapes = f"takes images {predictor.image_shape}, and those of {dataset.name} are {dataset.image_shape}"
        problems.append(f"loss.distill.teacher: {distill.teacher} {shapes}")
    if predictor.classes != tuple(dataset.classes):
        problems.append(
            f"loss.distill.teacher: {distill.teacher} has the classes {', '.join(predictor.classes)}, "
            f"and {dataset.name} has {', '.join(dataset.classes)}; expected the same in the same order"
        )
    if earlier and earlier.teacher not in (None, digest):
        problems.append(
            f"loss.distill.teacher: {distill.teacher} has changed since the run began; restore it, or train anew"
        )
    if problems:
        raise CnnlabError(*problems)
    return TeacherNetwork(predictor.architecture, weights, predictor.normalisation, digest)


def _notes(recipe: Recipe, parts: Parts) -> list[str]:
    """What the user should know about the labels and the loss."""
    train, notes = parts.splits["train"].labels, []
    assert train is not None
    if recipe.data.label_noise:
        wrong = round(recipe.data.label_noise * len(train))
        notes.append(f"data.label_noise: {wrong:,} of {len(train):,} training images have a wrong label")
    if recipe.loss.class_weights == "balanced" and (missing := parts.num_classes - len(np.unique(train))):
        notes.append(f"loss.class_weights: {missing} of {parts.num_classes} classes have no training image")
    if recipe.loss.name != "cross-entropy" or recipe.loss.distill is not None:
        notes.append("train_loss is the loss that is trained; val_loss and test_loss are cross-entropy")
    return notes


def normalisation_of(recipe: Recipe, dataset: Dataset, train: Split) -> Normalisation:
    """The statistics that the recipe asks for; `train` uses exactly the training images of this run."""
    channels = dataset.image_shape[0]
    match recipe.data.normalize:
        case "train":
            key = (dataset.digest, recipe.data.size, recipe.data.val, recipe.data.train_limit)
            if key not in _statistics:  # the trainings of a study use the same images
                _statistics[key] = channel_statistics(train.images)
            mean, std = _statistics[key]
            return Normalisation(tuple(mean.tolist()), tuple(np.maximum(std, 1e-3).tolist()))
        case "half":
            return Normalisation((0.5,) * channels, (0.5,) * channels)
        case "none":
            return Normalisation((0.0,) * channels, (1.0,) * channels)
        case ChannelStatistics(mean=given_mean, std=given_std):
            if len(given_mean) != channels:
                raise CnnlabError(f"data.normalize: received {len(given_mean)} channels, {dataset.name} has {channels}")
            return Normalisation(given_mean, given_std)


def check_fit(recipe: Recipe, trace: Trace, dataset: Dataset, num_images: int) -> None:
    """Whether outputs, batches and schedule fit the data. Raises CnnlabError with every problem."""
    problems = []
    if trace.output_shape != (len(dataset.classes),):
        problems.append(
            f"arch: its output is {trace.output_shape}, but {dataset.name} has {len(dataset.classes)} classes; "
            f"end it with `linear {len(dataset.classes)}`"
        )
    steps = recipe.train.steps_per_epoch(num_images)
    smallest = min(_part_sizes(recipe.train, num_images, steps))
    averages_over_images_alone = any(
        isinstance(row.layer, BatchNorm) and math.prod(row.input_shape[1:]) == 1 for row in trace.rows
    )
    if smallest == 1 and averages_over_images_alone:
        problems.append(
            f"train.batch_size: {num_images:,} images in batches of {recipe.train.batch_size}"
            f"{_in_parts(recipe.train)} leave one alone, and batch normalisation of flat data needs two; "
            "use --set train.drop_last=true or another batch size"
        )
    problems += misfits(recipe.augment, dataset.image_shape)
    given = recipe.loss.class_weights
    if isinstance(given, tuple) and len(given) != len(dataset.classes):
        problems.append(
            f"loss.class_weights: received {len(given)} numbers, {dataset.name} has {len(dataset.classes)} classes"
        )
    try:
        lr_at(recipe.schedule, recipe.optim.lr, 0, steps, recipe.train.total_steps(steps))
    except CnnlabError as error:
        problems += error.problems
    if problems:
        raise CnnlabError(*problems)


def _part_sizes(train: Train, num_images: int, steps: int) -> Iterator[int]:
    """The images that batch normalisation sees together: of a whole and of the last batch, each in its parts."""
    last = num_images - (steps - 1) * train.batch_size
    for batch in {min(train.batch_size, num_images), min(train.batch_size, last)}:
        part = -(-batch // train.accumulate)
        yield from (part, batch % part or part)


def _in_parts(train: Train) -> str:
    return f", each in {train.accumulate} parts," if train.accumulate > 1 else ""


def check_finite(start: Start) -> None:
    """Raises DivergedError where the numbers of the untrained network are not finite."""
    if not all(map(math.isfinite, (start.loss, start.spread, *start.gradients))):
        raise DivergedError(
            f"before the first step the loss is {start.loss:g} and the gradients of the first and last layer are "
            f"{', '.join(f'{size:g}' for size in start.gradients)}, expected finite numbers; look at data.normalize"
        )
