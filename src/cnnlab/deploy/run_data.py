"""The images that a run was trained on, found again and checked.

Shape legend: N images.
"""

from pathlib import Path

import numpy as np

from cnnlab.core.errors import DataError
from cnnlab.data import NAMED_SOURCES, Dataset, Split, load
from cnnlab.data.download import ProgressDisplay
from cnnlab.runs import RunFolder


def source_of(run: RunFolder) -> str:
    """The source of the run's data: a name, or their path when the run began."""
    source = run.recipe.data.source
    return source if source in NAMED_SOURCES else run.environment.data.location or source


def dataset_of(
    run: RunFolder,
    data_dir: Path | None = None,
    download: bool = False,
    progress: ProgressDisplay | None = None,
) -> Dataset:
    """The data set of a run. Raises DataError if it is not found, or differs from that of the run."""
    dataset = load(source_of(run), data_dir, download, size=run.recipe.data.size, progress=progress)
    check_same(run, dataset)
    return dataset


def check_same(run: RunFolder, dataset: Dataset) -> None:
    """Raises DataError if the run was trained on other data, by digest."""
    data = run.environment.data
    if dataset.digest != data.digest:
        raise DataError(
            f"run {run.id} was trained on {data.name} with digest {data.digest[:12]}; found "
            f"{dataset.digest[:12]} in {dataset.location}; give the folder of its own data with --data-dir"
        )


def train_sample(run: RunFolder, dataset: Dataset, number: int) -> Split:
    """At most `number` of the images that the run trained on, without augmentation, evenly spaced in their order.

    The order is the split's own, which does not depend on the seed: runs on equal data get the same images.
    """
    assert dataset.train.labels is not None
    places_N = run.places("train")
    chosen = np.linspace(0, len(places_N) - 1, min(number, len(places_N))).round().astype(np.int64)
    return Split(dataset.train.images[places_N[chosen]], dataset.train.labels[places_N[chosen]])
