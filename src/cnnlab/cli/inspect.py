"""`cnnlab inspect RUN features IMAGE…`, `confusion`, `landscape` and `batchnorm`: look inside a trained network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import NetworkArgument, RunsFolder, takes

if TYPE_CHECKING:
    from cnnlab import Options

app = typer.Typer(
    help="Look inside a trained network: feature maps, confusion, loss surface, batch norm.",
    no_args_is_help=True,
)

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
    from cnnlab.api.inspection import draw_features
    from cnnlab.cli.console import out as console

    for path, found in draw_features(context.obj, images, out, layer, runs):
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
    from cnnlab.api.inspection import confusion, draw_confusion
    from cnnlab.api.runs import load_run
    from cnnlab.core.tables import table_lines

    found, name = confusion(context.obj, split, runs), load_run(context.obj, runs).id
    title = f"{name}: {found.counts_KK.sum():,} {split} images, accuracy {found.accuracy:.1%}"
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
    if csv is not None:
        found.write_csv(csv)
        typer.echo(f"counts    {csv}")
    if out is not None:
        png, svg = draw_confusion(found, out, title)
        typer.echo(f"figure    {png}, {svg}")


@app.command("landscape")
@takes("data_dir", "download", runs=RunsFolder)  # --out names a figure here
def landscape(
    context: typer.Context,
    options: "Options",
    images: Annotated[int, typer.Option(help="Training images, evenly chosen, not augmented.")] = 1000,
    points: Annotated[int, typer.Option(help="Points on either axis, odd.")] = 21,
    span: Annotated[
        float, typer.Option(help="How far to go from the weights, in units of their own length.")
    ] = 1.0,
    directions: Annotated[
        int | None, typer.Option(metavar="SEED", help="Of the two random directions; else the run's seed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the surface here, and as SVG beside it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all losses here.")] = None,
) -> None:
    """Measure the loss around the trained weights, and how convex it is; the numbers are kept in the run."""
    from cnnlab.api.inspection import LandscapeSettings, landscape
    from cnnlab.api.runs import load_run
    from cnnlab.cli.console import say
    from cnnlab.cli.progress import progress_bar

    settings = LandscapeSettings(images, points, span, directions)
    run = load_run(context.obj, options.runs)
    with progress_bar("landscape") as on_step:
        found = landscape(str(run.path), settings, options, on_step, out)
    smooth = found.smoothness
    share = f"{smooth.nonconvex_points} of {smooth.inner_points} points"
    say(f"run           {run.id}")
    say(
        f"loss          {found.centre:.4f} at the weights, {smooth.lowest:.4f} to {smooth.highest:.4f} around"
    )
    say(f"nonconvexity  {smooth.nonconvexity:.4f} (negative / largest curvature, mean; 0: convex), {share}")
    if csv is not None:
        found.write_csv(csv)
        say(f"losses        {csv}")
    if out is not None:
        say(f"figure        {out}, {out.with_suffix('.svg')}")


@app.command("batchnorm")
@takes("data_dir", "download", runs=RunsFolder)  # --out names a figure here
def batchnorm(
    context: typer.Context,
    options: "Options",
    images: Annotated[int, typer.Option(help="Training images, evenly chosen, not augmented.")] = 5000,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write mean and deviation of every channel here.")
    ] = None,
) -> None:
    """Measure what batch norm puts out in training and at inference; the numbers are kept in the run."""
    from cnnlab.api.inspection import BatchNormSettings, batchnorm
    from cnnlab.api.runs import load_run
    from cnnlab.cli.console import say
    from cnnlab.cli.progress import progress_bar

    settings, run = BatchNormSettings(images), load_run(context.obj, options.runs)
    with progress_bar("batchnorm") as on_step:
        found = batchnorm(str(run.path), settings, options, on_step)
    say(f"{run.id}: |mean| of each channel, averaged; training in batches of {found.batch_size}\n")
    say(found.table())
    if csv is not None:
        found.write_csv(csv)
        say(f"\nchannels  {csv}")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == share else "-"  # NaN, of a class without images, is not itself
