"""`cnnlab grade predictions.csv --labels cifar10:test`: how good a predictions file is."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import DataDirOption, DownloadOption

if TYPE_CHECKING:
    from cnnlab.compare.grade import Grade, Share


def grade(
    predictions: Annotated[Path, typer.Argument(metavar="FILE", help="The predictions, id,label lines.")],
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE|DATASET[:SPLIT]",
            help="The true labels: a .csv of the same form, or a data set's name or path; its test split, or train.",
        ),
    ],
    data_dir: DataDirOption = None,
    download: DownloadOption = True,
) -> None:
    """Score a predictions file against the true labels: accuracy with its interval, by class too."""
    import numpy as np

    from cnnlab.cli.console import say
    from cnnlab.compare.grade import grade as grade_labels
    from cnnlab.deploy.predictions_csv import read_predictions_csv

    title, truth, classes = _truth(labels, data_dir, download)
    received = read_predictions_csv(
        predictions, num_classes=None if classes is None else len(classes), ids=truth
    )
    predicted_N = np.array([received[one] for one in truth], dtype=np.int64)
    truth_N = np.array(list(truth.values()), dtype=np.int64)
    if classes is None:  # a file of labels does not say which there are: those that occur, by their numbers
        numbers, places = np.unique(np.stack([predicted_N, truth_N]), return_inverse=True)
        predicted_N, truth_N = places.reshape(2, -1)
        classes = tuple(map(str, numbers.tolist()))
    graded = grade_labels(predicted_N, truth_N, classes)
    for line in _lines(title, graded):
        say(line)


def _truth(
    labels: str, data_dir: Path | None, download: bool
) -> tuple[str, dict[str, int], tuple[str, ...] | None]:
    """What the labels are of, the true label of every id, and the classes' names if known. Raises CnnlabError."""
    from cnnlab.cli.download import download_bars
    from cnnlab.core.errors import DataError
    from cnnlab.data import load
    from cnnlab.deploy.predictions_csv import read_predictions_csv

    if labels.lower().endswith(".csv"):
        return labels, read_predictions_csv(Path(labels), named=True), None
    source, _, split = labels.rpartition(":")
    if split not in ("train", "test"):
        source, split = labels, "test"
    dataset = load(source, data_dir, download, progress=download_bars)
    images = dataset.train if split == "train" else dataset.test
    if images is None or images.labels is None:
        raise DataError(f"--labels: {source} has no labelled split {split!r}")
    return (
        f"{source} {split}",
        {str(index): label for index, label in enumerate(images.labels.tolist())},
        dataset.classes,
    )


def _lines(title: str, graded: "Grade") -> Iterator[str]:
    from cnnlab.core.tables import table_lines

    yield f"labels    {title}, {graded.overall.images:,} images"
    yield f"accuracy  {_percent(graded.overall)}"
    yield f"interval  {_range(graded.overall)}, Wilson, 95%: for other images of this kind, not for other seeds"
    rows = [
        (
            each.name,
            f"{each.images:,}",
            f"{each.predicted:,}",
            f"{each.correct:,}",
            _percent(each),
            _range(each),
        )
        for each in graded.classes
    ]
    header = ("class", "images", "predicted", "right", "accuracy", "interval")
    yield from table_lines(header, rows, words=1)


def _percent(share: "Share") -> str:
    return "-" if share.accuracy is None else f"{share.accuracy:.2%}"


def _range(share: "Share") -> str:
    return "-" if share.interval is None else f"{share.interval.low:.2%} to {share.interval.high:.2%}"
