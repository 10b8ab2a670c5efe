"""`cnnlab score RUN|MODEL`: a whole split of a data set through a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import DataDirOption, DownloadOption, NetworkArgument, RunsOption

if TYPE_CHECKING:
    from cnnlab.data import Dataset, Split
    from cnnlab.deploy.predictor import Predictor
    from cnnlab.deploy.score import Score
    from cnnlab.inspect.confusion import Confusion
    from cnnlab.runs import RunFolder


def score(
    network: NetworkArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="A data set's name or path; else the run's own, or the one with the model's classes."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="test, train (all of it, as published) or, for a run on its own data, val.")
    ] = "test",
    csv: Annotated[
        Path | None,
        typer.Option(help="Write the confusion matrix here: true classes down, predicted across."),
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write id,label lines for the split here.")] = None,
    data_dir: DataDirOption = None,
    download: DownloadOption = True,
    runs: RunsOption = None,
) -> None:
    """Score a split: accuracy, loss, accuracy of each class and, on request, the confusion matrix."""
    from cnnlab.cli.console import say
    from cnnlab.cli.download import download_bars
    from cnnlab.data import load
    from cnnlab.deploy import score as scoring
    from cnnlab.deploy.load import is_model_file, load_predictor
    from cnnlab.deploy.predictions_csv import write_predictions_csv
    from cnnlab.inspect.confusion import confusion
    from cnnlab.runs import find_run, runs_root

    run = None if is_model_file(network) else find_run(runs_root(runs), network)
    predictor = load_predictor(network, runs)
    source = data or _own_source(run, predictor)
    dataset = load(source, data_dir, download, size=predictor.image_shape[1:], progress=download_bars)
    images = _val_of(run, dataset) if split == "val" else scoring.scored_split(predictor, dataset, split)
    scored = scoring.score(predictor, images)
    matrix = confusion(scored.logits, scored.labels, predictor.classes)
    for line in _lines(f"{dataset.name} {split}", scored, matrix):
        say(line)
    if csv is not None:
        matrix.write_csv(csv)
        say(f"{csv}: confusion matrix")
    if predictions is not None:
        write_predictions_csv(predictions, scored.logits)
        say(f"{predictions}: {len(images):,} predictions")


def _own_source(run: "RunFolder | None", predictor: "Predictor") -> str:
    """The data a run was trained on, or the named data set that has the model's classes. Raises CnnlabError."""
    from cnnlab.core.errors import CnnlabError
    from cnnlab.data import NAMED_SOURCES
    from cnnlab.deploy.run_data import source_of

    if run is not None:
        return source_of(run)
    for name, named in NAMED_SOURCES.items():
        if named.classes == predictor.classes:
            return name
    raise CnnlabError("score: no known data set has this model's classes; name one with --data")


def _val_of(run: "RunFolder | None", dataset: "Dataset") -> "Split":
    """The images that a run held out. Raises CnnlabError for anything but a run and the data it was trained on."""
    from cnnlab.core.errors import CnnlabError
    from cnnlab.data import Split

    if run is None or dataset.digest != run.environment.data.digest:
        raise CnnlabError("score: val is what a run held out of its own data; choose --split test or train")
    stored = run.logits("val")
    return Split(dataset.train.images[stored.indices], stored.labels)


def _lines(title: str, scored: "Score", confusion: "Confusion") -> Iterator[str]:
    yield f"data      {title}, {len(scored.labels):,} images"
    yield f"accuracy  {scored.accuracy:.2%}"
    yield f"loss      {scored.loss:.4f}"
    width = max(map(len, ("class", *confusion.classes)))
    yield f"{'class':{width}}  images  accuracy"
    counts = confusion.counts_KK.sum(axis=1)
    for name, count, share in zip(confusion.classes, counts, confusion.recall, strict=True):
        yield f"{name:{width}}  {count:6,}  " + (f"{share:8.2%}" if count else "       -")
