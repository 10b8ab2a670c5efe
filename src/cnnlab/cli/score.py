"""`cnnlab score RUN|MODEL`: a whole split of a data set through a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import NetworkArgument, takes

if TYPE_CHECKING:
    from cnnlab import Options


@takes("data_dir", "download", "runs")
def score(
    network: NetworkArgument,
    options: "Options",
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
) -> None:
    """Score a split: accuracy, loss, accuracy of each class and, on request, the confusion matrix."""
    from cnnlab.api.predictions import score
    from cnnlab.cli.console import say

    found = score(network, data, split, options, csv=csv, predictions=predictions)
    images, classes = len(found.score.labels), found.confusion.classes
    say(f"data      {found.title}, {images:,} images")
    say(f"accuracy  {found.score.accuracy:.2%}")
    say(f"loss      {found.score.loss:.4f}")
    width = max(map(len, ("class", *classes)))
    say(f"{'class':{width}}  images  accuracy")
    counts = found.confusion.counts_KK.sum(axis=1)
    for name, count, share in zip(classes, counts, found.confusion.recall, strict=True):
        say(f"{name:{width}}  {count:6,}  " + (f"{share:8.2%}" if count else "       -"))
    if csv is not None:
        say(f"{csv}: confusion matrix")
    if predictions is not None:
        say(f"{predictions}: {images:,} predictions")
