"""`cnnlab inspect RUN features IMAGE…` and `cnnlab inspect RUN confusion`: look inside a trained network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import NetworkArgument
from cnnlab.cli.runs import RunsFolder

if TYPE_CHECKING:
    from cnnlab.inspect.confusion import Confusion

app = typer.Typer(help="Look inside a trained network: feature maps, confusion.", no_args_is_help=True)

_MISTAKES_SHOWN = 5


@app.callback()
def _chosen_run(context: typer.Context, run: NetworkArgument) -> None:
    context.obj = run


@app.command("features")
def features(
    context: typer.Context,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Image files of any size and mode, or folders of them."),
    ],
    layer: Annotated[
        str | None,
        typer.Option(help="A path as `cnnlab cost` prints it (3.body.1), or kind and number (conv2)."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE.png", help="The figure; of several images FILE-<number>-<image>.png."),
    ] = Path("CONV_rslt.png"),
    runs: RunsFolder = None,
) -> None:
    """Draw the maps that a layer, by default the first convolution, makes of each image."""
    from cnnlab.cli.console import out as console
    from cnnlab.deploy.load import load_predictor
    from cnnlab.inspect.features import draw_feature_maps

    predictor = load_predictor(context.obj, runs)
    for path, found in draw_feature_maps(predictor, images, out, layer):
        label, probability = found.prediction.ranking[0]
        line = f"{found.prediction.image}: {label} {probability:.2%}, layer {found.path} ({found.layer}) in {path}"
        console.print(line, markup=False)


@app.command("confusion")
def confusion(
    context: typer.Context,
    split: Annotated[str, typer.Option(help="test or val.")] = "test",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the matrix here, and as SVG beside it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the counts here.")] = None,
    runs: RunsFolder = None,
) -> None:
    """Show which classes are taken for which, from the outputs stored in the run."""
    from cnnlab.inspect.confusion import confusion_of_run
    from cnnlab.runs import find_run, runs_root

    run = find_run(runs_root(runs), context.obj)
    found = confusion_of_run(run, split)
    title = f"{run.id}: {found.counts_KK.sum():,} {split} images, accuracy {found.accuracy:.1%}"
    _print(title, found)
    if csv is not None:
        found.write_csv(csv)
        typer.echo(f"counts    {csv}")
    if out is not None:
        from cnnlab.report.figures import confusion_heatmap

        png, svg = confusion_heatmap(found.counts_KK, found.classes, out, title)
        typer.echo(f"figure    {png}, {svg}")


def _print(title: str, found: "Confusion") -> None:
    """Recall and precision of every class, then the most frequent mistakes."""
    from cnnlab.core.tables import table_lines

    typer.echo(f"{title}\n")
    rows = zip(found.classes, found.counts_KK.sum(axis=1), found.recall, found.precision, strict=True)
    cells = [
        (name, f"{size:,}", _percent(recall), _percent(precision)) for name, size, recall, precision in rows
    ]
    for line in table_lines(("class", "images", "recall", "precision"), cells, words=1):
        typer.echo(line)
    typer.echo("\nmost frequent mistakes")
    for mistake in found.mistakes(_MISTAKES_SHOWN):
        share = f"{mistake.count:,} of {mistake.true} ({mistake.share:.1%})"
        typer.echo(f"  {share} taken for {mistake.predicted}")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == share else "-"  # NaN, of a class without images, is not itself
