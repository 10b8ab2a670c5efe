"""What must hold before anything is built or written: the recipe's parts fit the data."""

import math

from cnnlab.arch.layers import BatchNorm
from cnnlab.arch.trace import Trace
from cnnlab.core.errors import CnnlabError
from cnnlab.data import Dataset
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe


def check_fit(recipe: Recipe, trace: Trace, dataset: Dataset, num_images: int) -> None:
    """Whether the network answers with one logit per class, can be trained in these batches, with this schedule.

    Raises CnnlabError with every problem.
    """
    problems = []
    if trace.output_shape != (len(dataset.classes),):
        problems.append(
            f"arch: its output is {trace.output_shape}, but {dataset.name} has {len(dataset.classes)} classes; "
            f"end it with `linear {len(dataset.classes)}`"
        )
    steps = recipe.train.steps_per_epoch(num_images)
    smallest = num_images - (steps - 1) * recipe.train.batch_size
    if smallest == 1 and any(_averages_only_over_images(row.layer, row.input_shape) for row in trace.rows):
        problems.append(
            f"train.batch_size: {num_images:,} images in batches of {recipe.train.batch_size} leave one alone, and "
            "batch normalisation of flat data needs two; use --set train.drop_last=true or another batch size"
        )
    try:
        lr_at(recipe.schedule, recipe.optim.lr, 0, steps, steps * recipe.train.epochs)
    except CnnlabError as error:
        problems += error.problems
    if problems:
        raise CnnlabError(*problems)


def _averages_only_over_images(layer: object, input_shape: tuple[int, ...]) -> bool:
    return isinstance(layer, BatchNorm) and math.prod(input_shape[1:]) == 1
