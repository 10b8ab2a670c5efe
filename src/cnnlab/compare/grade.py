"""Accuracy of predicted labels, in all and by class, with intervals.

Shape legend: N test examples, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnlab.compare.interval import Interval, SampleError, wilson_interval


@dataclass(frozen=True)
class Share:
    """`correct` of `images`. `predicted`: how often this label was predicted, right or wrong."""

    name: str
    images: int
    correct: int
    predicted: int
    interval: Interval | None

    @property
    def accuracy(self) -> float | None:
        """0..1; None without images."""
        return self.correct / self.images if self.images else None


@dataclass(frozen=True)
class Grade:
    """All images together, and those of each true class."""

    overall: Share
    classes: tuple[Share, ...]


def grade(
    predicted_N: NDArray[np.int64], labels_N: NDArray[np.int64], classes: Sequence[str], level: float = 0.95
) -> Grade:
    """Grade predictions in the order of the labels, both as indices of `classes`. Raises SampleError if empty."""
    if len(predicted_N) != len(labels_N) or not len(labels_N):
        raise SampleError(f"received {len(predicted_N)} predictions for {len(labels_N)} labels, expected as many")

    def share(name: str, of_N: NDArray[np.bool_], predicted: int) -> Share:
        images, correct = int(of_N.sum()), int((predicted_N == labels_N)[of_N].sum())
        interval = wilson_interval(correct, images, level) if images else None
        return Share(name, images, correct, predicted, interval)

    each = (share(name, labels_N == label, int((predicted_N == label).sum())) for label, name in enumerate(classes))
    return Grade(share("all", np.ones(len(labels_N), bool), len(predicted_N)), tuple(each))
