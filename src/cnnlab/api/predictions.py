"""Answers of networks: predictions for images, tables of them, scores of whole splits, grades of a table.

Shape legend: N images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.compare.grade import Grade, Share
from cnnlab.compare.grade import grade as grade_labels
from cnnlab.core.errors import CnnlabError, DataError
from cnnlab.data import NAMED_SOURCES, Dataset, Split
from cnnlab.data.unlabelled import read_unlabelled
from cnnlab.deploy import score as scoring
from cnnlab.deploy.predictions_csv import Ids, ids_of, read_predictions_csv, write_predictions_csv
from cnnlab.deploy.predictor import Prediction, Predictor
from cnnlab.deploy.run import load_run
from cnnlab.deploy.run_data import source_of
from cnnlab.deploy.views import TestTime
from cnnlab.inspect.confusion import Confusion, confusion
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder

__all__ = [
    "Scored", "Share", "Table", "check_table", "grade", "predict", "score", "write_stored",
    "write_unlabelled",
]  # fmt: skip


class Table(NamedTuple):
    """A written `predictions.csv`: number of images, kind of ids, and the file at position 0 if there is one."""

    images: int
    ids: Ids
    first: str


class Scored(NamedTuple):
    """The score of a network on the split named `title`, with the counts by class."""

    title: str
    score: scoring.Score
    confusion: Confusion


def predict(network: str, images: Sequence[str | Path], runs: Path | None = None) -> list[Prediction]:
    """Classes and probabilities of image files, by a run or model file. Raises ImageError, RunError, WeightsError."""
    from cnnlab.deploy.load import load_predictor

    return load_predictor(network, runs).predict(images)


def write_stored(run: str, split: str, csv: Path, runs: Path | None = None) -> int:
    """Write the stored predictions of a run on val or test; returns how many. Raises RunError, StorageError."""
    if run.endswith(".safetensors"):
        raise CnnlabError(
            f"predict --split reads stored predictions of a run, and {run} is a model file; "
            f"`cnnlab score {run} --data NAME --split {split} --predictions {csv}` computes them"
        )
    logits = load_run(run, runs).folder.logits(split).logits
    write_predictions_csv(csv, logits)
    return len(logits)


def write_unlabelled(
    network: str, places: Sequence[Path], csv: Path, ids: Ids | None = None, runs: Path | None = None
) -> Table:
    """Write predictions for unlabelled images: files, folders, archives or an array. Raises CnnlabError."""
    from cnnlab.deploy.load import load_predictor

    predictor = load_predictor(network, runs)
    channels, height, width = predictor.image_shape
    found = read_unlabelled(places, (height, width, channels))
    if not found.named and ids in ("number", "name"):
        raise CnnlabError(f"--ids {ids}: {places[0]} is an array, its images have no names; use position")
    kind, chosen = ids_of(found.names, ids if found.named else "position")
    write_predictions_csv(csv, predictor.logits(found.images), chosen)
    return Table(len(chosen), kind, found.names[0] if found.named else "")


def check_table(file: Path, num_images: int | None = None, num_classes: int = 10, named: bool = False) -> int:
    """The number of predictions in a file. Raises PredictionsError with every problem, CnnlabError."""
    labels = read_predictions_csv(file, num_images, num_classes, named=named)
    if named and num_images not in (None, len(labels)):
        raise CnnlabError(f"{file}: received {len(labels):,} predictions, expected {num_images:,}")
    return len(labels)


def score(
    network: str,
    data: str | None = None,
    split: str = "test",
    options: Options | None = None,
    *,
    csv: Path | None = None,
    predictions: Path | None = None,
    test_time: TestTime = "none",
) -> Scored:
    """Score a run or model file on a whole split; `data` None: the run's own data, or the data set of its classes.

    `test_time`: the views whose logits are averaged. Files: the confusion matrix goes to `csv`, the label of every
    image to `predictions`. Raises CnnlabError.
    """
    from cnnlab.deploy.load import is_model_file, load_predictor

    options = options or Options()
    run = None if is_model_file(network) else load_run(network, options.runs).folder
    predictor = load_predictor(network, options.runs)
    dataset = options.load(data or _own_source(run, predictor), predictor.image_shape[1:])
    images = _val_of(run, dataset) if split == "val" else scoring.scored_split(predictor, dataset, split)
    scored = scoring.score(predictor, images, test_time)
    matrix = confusion(scored.logits, scored.labels, predictor.classes)
    if csv is not None:
        matrix.write_csv(csv)
    if predictions is not None:
        write_predictions_csv(predictions, scored.logits)
    views = "" if test_time == "none" else f", views of each image: {test_time}"
    return Scored(f"{dataset.name} {split}{views}", scored, matrix)


def grade(predictions: Path, labels: str, options: Options | None = None) -> tuple[str, Grade]:
    """Grade a predictions file by the true labels, a file of the same form or `DATASET[:SPLIT]`.

    Returns the title of the labels and the grade. Raises PredictionsError, DataError.
    """
    title, truth, classes = _truth(labels, options or Options())
    num_classes = None if classes is None else len(classes)
    received = read_predictions_csv(predictions, num_classes=num_classes, ids=truth)
    predicted_N = np.array([received[one] for one in truth], dtype=np.int64)
    truth_N = np.array(list(truth.values()), dtype=np.int64)
    if classes is None:  # a file of labels has no class names: use the numbers in it
        numbers, places = np.unique(np.stack([predicted_N, truth_N]), return_inverse=True)
        predicted_N, truth_N = places.reshape(2, -1)
        classes = tuple(map(str, numbers.tolist()))
    return title, grade_labels(predicted_N, truth_N, classes)


def _own_source(run: RunFolder | None, predictor: Predictor) -> str:
    """The data of a run, or the named data set with the model's classes. Raises CnnlabError."""
    if run is not None:
        return source_of(run)
    matching = [name for name, named in NAMED_SOURCES.items() if named.classes == predictor.classes]
    if not matching:
        raise CnnlabError("score: no known data set has this model's classes; name one with --data")
    return matching[0]


def _val_of(run: RunFolder | None, dataset: Dataset) -> Split:
    """The val images of a run. Raises CnnlabError for anything but a run and the data it was trained on."""
    if run is None or dataset.digest != run.environment.data.digest:
        raise CnnlabError("score: val is part of a run's own training data; choose --split test or train")
    stored = run.logits("val")
    return Split(dataset.train.images[stored.indices], stored.labels)


def _truth(labels: str, options: Options) -> tuple[str, dict[str, int], tuple[str, ...] | None]:
    """Title of the labels, the true label of every id, and the names of the classes if known. Raises CnnlabError."""
    if labels.lower().endswith(".csv"):
        return labels, read_predictions_csv(Path(labels), named=True), None
    source, _, split = labels.rpartition(":")
    if split not in ("train", "test"):
        source, split = labels, "test"
    dataset = options.load(source)
    images = dataset.train if split == "train" else dataset.test
    if images is None or images.labels is None:
        raise DataError(f"--labels: {source} has no labelled split {split!r}")
    by_id = {str(index): label for index, label in enumerate(images.labels.tolist())}
    return f"{source} {split}", by_id, dataset.classes
