"""`cnnlab grade predictions.csv --labels cifar10:test`: how good a predictions file is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import takes

if TYPE_CHECKING:
    from cnnlab import Options
    from cnnlab.api.predictions import Share


@takes("data_dir", "download")
def grade(
    predictions: Annotated[Path, typer.Argument(metavar="FILE", help="The predictions, id,label lines.")],
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE|DATASET[:SPLIT]",
            help="The true labels: a .csv of the same form, or a data set's name or path; its test split, or train.",
        ),
    ],
    options: "Options",
) -> None:
    """Score a predictions file against the true labels: accuracy with its interval, by class too."""
    from cnnlab.api.predictions import grade
    from cnnlab.cli.console import say
    from cnnlab.core.tables import table_lines

    title, graded = grade(predictions, labels, options)
    say(f"labels    {title}, {graded.overall.images:,} images")
    say(f"accuracy  {_percent(graded.overall)}")
    say(
        f"interval  {_range(graded.overall)}, Wilson, 95%: for other images of this kind, not for other seeds"
    )
    rows = [
        (one.name, f"{one.images:,}", f"{one.predicted:,}", f"{one.correct:,}", _percent(one), _range(one))
        for one in graded.classes
    ]
    for line in table_lines(("class", "images", "predicted", "right", "accuracy", "interval"), rows, words=1):
        say(line)


def _percent(share: "Share") -> str:
    return "-" if share.accuracy is None else f"{share.accuracy:.2%}"


def _range(share: "Share") -> str:
    return "-" if share.interval is None else f"{share.interval.low:.2%} to {share.interval.high:.2%}"
