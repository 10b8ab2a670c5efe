"""Confusion counts and what is read off them, against counting one image after the other."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.errors import CnnlabError, RunError
from cnnlab.inspect.confusion import Confusion, confusion, confusion_of_run
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter
from made_values import environment_of

CLASSES = ("cat", "dog", "frog, green")


def one_hot(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_every_image_is_counted_in_its_cell(pairs: list[tuple[int, int]]) -> None:
    labels = np.array([true for true, _ in pairs])
    logits = one_hot([predicted for _, predicted in pairs], 4)
    found = confusion(logits, labels, "abcd")
    for true in range(4):
        for predicted in range(4):
            assert found.counts_KK[true, predicted] == pairs.count((true, predicted))
    assert found.accuracy == pytest.approx(sum(true == predicted for true, predicted in pairs) / len(pairs))
    for k in range(4):
        of_class = [predicted for true, predicted in pairs if true == k]
        taken_for = [true for true, predicted in pairs if predicted == k]
        for share, others in ((found.recall[k], of_class), (found.precision[k], taken_for)):
            expected = others.count(k) / len(others) if others else np.nan
            np.testing.assert_equal(share, expected)
    mistakes = found.mistakes(16)
    assert sum(mistake.count for mistake in mistakes) == sum(true != predicted for true, predicted in pairs)
    assert [m.count for m in mistakes] == sorted((m.count for m in mistakes), reverse=True)


def test_mistakes_name_the_classes_and_their_share() -> None:
    found = Confusion(CLASSES, np.array([[6, 4, 0], [1, 9, 0], [0, 5, 45]]))
    assert [(m.true, m.predicted, m.count, m.share) for m in found.mistakes(2)] == [
        ("frog, green", "dog", 5, 0.1),
        ("cat", "dog", 4, 0.4),
    ]


def test_csv_reads_back(tmp_path: Path) -> None:
    found = Confusion(CLASSES, np.array([[6, 4, 0], [1, 9, 0], [0, 5, 45]]))
    found.write_csv(tmp_path / "counts.csv")
    with (tmp_path / "counts.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[1:] == list(CLASSES)
    assert [row[0] for row in rows] == list(CLASSES)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], int), found.counts_KK)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((2, 4)), np.array([0, 1])),
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([-1, 0])),
    ],
)
def test_what_does_not_belong_together_is_refused(logits: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(CnnlabError, match="received"):
        confusion(logits, labels, CLASSES)


def test_of_a_run(tmp_path: Path) -> None:
    recipe = Recipe.named("simplenn")
    writer = RunWriter.create(tmp_path, recipe, environment_of(recipe, data={"classes": list(CLASSES)}))
    writer.write_predictions("val", one_hot([0, 1, 1], 3), np.array([0, 1, 2]), np.arange(3))
    run = RunFolder(writer.path)
    found = confusion_of_run(run, "val")
    assert found.classes == CLASSES
    assert found.counts_KK.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    with pytest.raises(RunError, match="it has val"):
        confusion_of_run(run, "test")
