"""Score a whole labelled split: logits, accuracy and loss.

Shape legend: N images, K classes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.errors import DataError
from cnnlab.data import Dataset, Split
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.views import TestTime, logits
from cnnlab.engines.evaluation import accuracy, cross_entropy


@dataclass(frozen=True, eq=False)
class Score:
    """The logits N x K of a network for N images, and their labels N."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @cached_property
    def accuracy(self) -> float:
        """Share of images whose largest logit is their label's, 0..1."""
        return accuracy(self.logits, self.labels)

    @cached_property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return cross_entropy(self.logits, self.labels)


def score(predictor: Predictor, split: Split, views: TestTime = "none") -> Score:
    """Score every image of a split, each once or in several `views`.

    Raises DataError if it does not fit the network or has no labels.
    """
    if split.labels is None:
        raise DataError("the split has no labels, so nothing can be scored; `predict` takes unlabelled images")
    height, width, channels = split.images.shape[1:]
    received, num_classes = (channels, height, width), len(predictor.classes)
    problems = []
    if received != predictor.image_shape:
        problems.append(f"the images are {received}, the network takes {predictor.image_shape}")
    if len(split) == 0:
        problems.append("the split has no images")
    elif split.labels.max() >= num_classes:
        problems.append(f"the labels go up to {split.labels.max()}, the network has {num_classes} classes")
    if problems:
        raise DataError(*problems)
    return Score(logits(predictor, split.images, views), split.labels)


def scored_split(predictor: Predictor, dataset: Dataset, name: str) -> Split:
    """The split `name` of a data set with the network's classes in the same order. Raises DataError."""
    if dataset.classes != predictor.classes:
        raise DataError(
            f"{dataset.name} has the classes {_some(dataset.classes)}, the network {_some(predictor.classes)}; "
            "a score needs the same classes in the same order"
        )
    published = {"train": dataset.train, "test": dataset.test}
    split = published.get(name)
    if split is None:
        there = ", ".join(key for key, value in published.items() if value is not None)
        raise DataError(f"{dataset.name} has no split {name!r}; it has {there}")
    return split


def _some(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:4]) + (f" ... ({len(classes)})" if len(classes) > 4 else "")
