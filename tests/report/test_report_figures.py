"""Learning curves: both files are written, the right things are drawn, and no text is cut off."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from cnnlab.core.errors import RunError, StorageError
from cnnlab.report.figures import accuracy_curves, curves, learning_curves


def rows(epochs: int, *splits: str) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "lr": 0.1 / epoch}
        | {f"{split}_loss": 2.0 / epoch for split in splits}
        | {f"{split}_accuracy": 1 - 1 / (epoch + 1) for split in splits}
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize(
    ("epochs", "splits"), [(1, ("train", "val")), (30, ("train", "val", "test")), (200, ("train",))]
)
def test_png_and_svg_are_written(tmp_path: Path, epochs: int, splits: tuple[str, ...]) -> None:
    png, svg = learning_curves(rows(epochs, *splits), "resnet20-v1.5, seed 1", tmp_path / "curves-v1.5.png")
    assert (png.name, svg.name) == ("curves-v1.5.png", "curves-v1.5.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_a_line_for_each_split_and_the_best_epoch_marked() -> None:
    metrics = rows(5, "train", "val")
    metrics[2]["val_accuracy"] = 0.99
    loss, accuracy, rate = curves._draw(metrics, "title").axes
    labels = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert labels == ["train", "val", "best val 99.0%, epoch 3"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "val"]
    assert list(rate.lines[0].get_ydata()) == [row["lr"] for row in metrics]
    assert all(axes.get_ylabel() for axes in (loss, accuracy, rate))


def test_without_validation_nothing_is_marked_as_best() -> None:
    _, accuracy, _ = curves._draw(rows(5, "train"), "title").axes
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["train"]


def test_missing_values_are_gaps(tmp_path: Path) -> None:
    metrics = rows(4, "train", "val")
    metrics[1]["val_loss"] = None
    del metrics[2]["val_accuracy"]
    learning_curves(metrics, "gaps", tmp_path / "gaps.png")


def test_every_text_lies_inside_the_figure() -> None:
    title = "a run with a long name that somebody wrote down without thinking of figures, seed 123456"
    figure = curves._draw(rows(200, "train", "val", "test"), title)
    figure.draw_without_rendering()  # lays out; a figure's canvas of its own draws nothing
    texts = [figure._suptitle, *(axes.yaxis.label for axes in figure.axes), figure.axes[-1].xaxis.label]
    for text in texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1


def test_no_epoch_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no learning curve"):
        learning_curves([], "empty", tmp_path / "empty.png")


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        learning_curves(rows(1, "train"), "title", tmp_path / "file" / "curves.png")


def test_accuracy_curves_has_both_lines_their_last_values_and_labelled_axes(tmp_path: Path) -> None:
    metrics = rows(8, "train", "test")
    metrics[7]["test_accuracy"] = None
    png, svg = accuracy_curves(metrics, tmp_path / "accuracy.png", "three seeds")
    assert png.is_file()
    assert svg.is_file()
    (axes,) = curves._draw_accuracy(metrics, "three seeds", ("train", "test")).axes
    train, test = axes.lines
    assert train.get_color() != test.get_color()
    assert train.get_linestyle() != test.get_linestyle()
    assert list(train.get_ydata()) == [row["train_accuracy"] for row in metrics]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["train: 88.9% in epoch 8", "test: 87.5% in epoch 7"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "accuracy")


def test_accuracy_curves_of_a_split_that_was_not_scored(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"on test; .* train\.test_curve"):
        accuracy_curves(rows(3, "train", "val"), tmp_path / "accuracy.png", "title")
    assert not list(tmp_path.iterdir())
