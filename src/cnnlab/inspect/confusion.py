"""Confusion matrix of true and predicted classes, from logits. Only NumPy.

Shape legend: N images, K classes; rows of a matrix are true classes, columns predicted ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.core.tables import csv_text, table_lines
from cnnlab.runs import RunFolder


@dataclass(frozen=True)
class Mistake:
    """`count` images of class `true` were predicted as `predicted`; `share` is their fraction of that class."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """Counts K x K: rows are true classes, columns predicted ones."""

    classes: tuple[str, ...]
    counts_KK: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Fraction of all images on the diagonal."""
        return float(np.trace(self.counts_KK) / self.counts_KK.sum())

    @property
    def recall(self) -> NDArray[np.float64]:
        """Per-class accuracy: fraction of a class's images that are predicted correctly (K,). NaN without images."""
        return _diagonal_shares(self.counts_KK, axis=1)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Fraction of the images predicted as a class that belong to it (K,). NaN if never predicted."""
        return _diagonal_shares(self.counts_KK, axis=0)

    def mistakes(self, most: int) -> list[Mistake]:
        """The `most` most frequent pairs of a true and a wrongly predicted class, in descending order."""
        wrong = self.counts_KK - np.diag(np.diag(self.counts_KK))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = [divmod(int(place), len(self.classes)) for place in order]
        sizes = self.counts_KK.sum(axis=1)
        return [
            Mistake(self.classes[i], self.classes[j], int(wrong[i, j]), float(wrong[i, j] / sizes[i]))
            for i, j in pairs
            if wrong[i, j]
        ]

    def table(self) -> str:
        """The counts as text: one line for every true class, with its recall."""
        head = ("true \\ predicted", *self.classes, "recall")
        rows = [
            (name, *(f"{count:,}" for count in counts), f"{recall:.1%}")
            for name, counts, recall in zip(self.classes, self.counts_KK.tolist(), self.recall, strict=True)
        ]
        return "\n".join(table_lines(head, rows, words=1))

    def to_csv(self) -> str:
        """The counts as CSV: a header of predicted classes, then one line for every true class."""
        rows = ([name, *row] for name, row in zip(self.classes, self.counts_KK.tolist(), strict=True))
        return csv_text(["true \\ predicted", *self.classes], rows)

    def write_csv(self, path: Path) -> None:
        """Write `to_csv()`. Raises StorageError."""
        write_atomic(path, self.to_csv())


def confusion(logits_NK: NDArray[np.float32], labels_N: NDArray[np.int64], classes: Sequence[str]) -> Confusion:
    """Count true classes against classes of the largest logit (the first of equal ones). Raises CnnlabError."""
    number = len(classes)
    if logits_NK.shape != (len(labels_N), number) or not len(labels_N):
        raise CnnlabError(
            f"confusion: received logits {logits_NK.shape} for {len(labels_N)} labels and {number} classes; "
            "expected a row for each label, at least one, and a column for each class"
        )
    if labels_N.min() < 0 or labels_N.max() >= number:
        raise CnnlabError(
            f"confusion: received labels from {labels_N.min()} to {labels_N.max()}, expected 0 to {number - 1}"
        )
    cells_N = labels_N * number + logits_NK.argmax(axis=1)
    counts_KK = np.bincount(cells_N, minlength=number * number).reshape(number, number)
    return Confusion(tuple(classes), counts_KK.astype(np.int64))


def confusion_of_run(run: RunFolder, split: str = "test") -> Confusion:
    """Confusion matrix of a run's best network, from its stored logits. Raises RunError."""
    stored = run.logits(split)
    return confusion(stored.logits, stored.labels, run.environment.data.classes)


def _diagonal_shares(counts_KK: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """The diagonal divided by the sums along an axis, NaN where the sum is 0."""
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = np.diag(counts_KK) / counts_KK.sum(axis=axis)
    return shares
