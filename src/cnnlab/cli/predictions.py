"""`cnnlab predict`, `cnnlab score` and `cnnlab grade`: what networks answer, and how good it is."""

from pathlib import Path
from typing import Annotated, Literal

import typer

import cnnlab
from cnnlab import api
from cnnlab.cli.console import say, say_table
from cnnlab.cli.execution import AtLeastOne, NetworkArgument, takes
from cnnlab.core.errors import CnnlabError
from cnnlab.core.numbers import percent


def predict(
    network: str | None = None,
    images: list[Path] | None = None,
    split: str | None = None,
    csv: Path | None = None,
    ids: Literal["number", "position", "name"] | None = None,
    check: Path | None = None,
    num_images: Annotated[int | None, typer.Option(min=1)] = None,
    num_classes: AtLeastOne = 10,
    top: AtLeastOne = 5,
    runs: Path | None = None,
) -> None:
    """Classify images with a model file or the best network of a run; write or check predictions.csv.

    network [RUN|MODEL]: A run as `cnnlab runs` names it, or a model file, *.safetensors.
    images [IMAGES]...: Image files of any size and mode, folders or archives (.zip, .tar) of them, or a .npz file.
    split: Predict a split that the run has stored: val or test. For a model file: `score`.
    csv: Write id,label lines here.
    ids: What image files are called in --csv: their number (17.png), their position by name, or their
      name; by default the number if all have one, else the position.
    check FILE: Check a predictions file instead of predicting.
    num_images --images: With --check: ids must be 0..N-1.
    num_classes --classes: With --check: labels must be 0..K-1.
    top: Classes to show per image.
    """
    if check is not None:
        if network is not None or split is not None or csv is not None:
            raise CnnlabError("predict: --check reads a file only; leave out the network, --split and --csv")
        named = ids == "name"
        count = api.predictions.check_table(check, num_images, num_classes, named)
        form = "every id once" if named else f"ids 0..{count - 1}, each once"
        say(f"{check}: {count:,} predictions, {form}, labels within 0..{num_classes - 1}")
    elif network is None:
        raise CnnlabError("predict: name a run or a model file, or give --check FILE")
    elif bool(images) == (split is not None):
        raise CnnlabError("predict: give either image files or --split val|test")
    elif split is not None:
        if csv is None:
            raise CnnlabError("predict: --split writes a file; name it with --csv FILE")
        say(f"{csv}: {api.predictions.write_stored(network, split, csv, runs):,} predictions for {split}")
    elif csv is not None:
        table = api.predictions.write_unlabelled(network, images or [], csv, ids, runs)
        meaning = {
            "number": "ids are the numbers in the file names",
            "position": f"ids are positions, 0 is {table.first}" if table.first else "ids are positions",
            "name": "ids are the file names",
        }
        say(f"{csv}: {table.images:,} predictions; {meaning[table.ids]}")
    else:
        for prediction in api.predictions.predict(network, images or [], runs):
            say(prediction.image)
            for name, probability in prediction.ranking[:top]:
                say(f"  {probability:7.2%}  {name}")


@takes("data_dir", "download", "runs")
def score(
    network: NetworkArgument,
    options: "cnnlab.Options",
    data: str | None = None,
    split: str = "test",
    csv: Path | None = None,
    predictions: Path | None = None,
    test_time: Literal["none", "mirror", "mirror-translate"] = "none",
) -> None:
    """Score a split: accuracy, loss, accuracy of each class and, on request, the confusion matrix.

    data: A data set's name or path; else the run's own, or the one with the model's classes.
    split: test, train (all of it, as published) or, for a run on its own data, val.
    csv: Write the confusion matrix here: true classes down, predicted across.
    predictions: Write id,label lines for the split here.
    test_time: Average the logits of an image and its mirror image, or also of both shifted by a pixel.
    """
    found = api.predictions.score(network, data, split, options, csv=csv, predictions=predictions, test_time=test_time)
    say(f"data      {found.title}, {len(found.score.labels):,} images")
    say(f"accuracy  {found.score.accuracy:.2%}")
    say(f"loss      {found.score.loss:.4f}")
    counts = found.confusion.counts_KK.sum(axis=1)
    rows = zip(found.confusion.classes, counts, found.confusion.recall, strict=True)
    say_table(
        ("class", "images", "accuracy"),
        [(name, f"{count:,}", percent(recall, unknown="-")) for name, count, recall in rows],
    )
    if csv is not None:
        say(f"{csv}: confusion matrix")
    if predictions is not None:
        say(f"{predictions}: {len(found.score.labels):,} predictions")


@takes("data_dir", "download")
def grade(predictions: Path, labels: str, options: "cnnlab.Options") -> None:
    """Score a predictions file against the true labels: accuracy with its interval, by class too.

    predictions FILE: The predictions, id,label lines.
    labels --labels FILE|DATASET[:SPLIT]: The true labels: a .csv of the same form, or a data set's name or path;
      its test split, or train.
    """
    title, graded = api.predictions.grade(predictions, labels, options)
    overall = graded.overall
    say(f"labels    {title}, {overall.images:,} images")
    say(f"accuracy  {percent(overall.accuracy, unknown='-')}")
    say(f"interval  {_interval(overall)}, Wilson, 95%: for other images of this kind, not for other seeds")
    rows = [
        (
            one.name,
            f"{one.images:,}",
            f"{one.predicted:,}",
            f"{one.correct:,}",
            percent(one.accuracy, unknown="-"),
            _interval(one),
        )
        for one in graded.classes
    ]
    say_table(("class", "images", "predicted", "right", "accuracy", "interval"), rows)


def _interval(share: "api.predictions.Share") -> str:
    return "-" if share.interval is None else f"{share.interval.low:.2%} to {share.interval.high:.2%}"
