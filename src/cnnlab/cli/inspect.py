"""`cnnlab inspect RUN features IMAGE…`, `confusion`, `landscape` and `batchnorm`: look inside a trained network."""

from pathlib import Path

import typer

import cnnlab
from cnnlab import api
from cnnlab.cli.console import say, say_table
from cnnlab.cli.execution import NetworkArgument, RunsFolder, takes
from cnnlab.core.numbers import percent

_MISTAKES_SHOWN = 5


def callback(context: typer.Context, run: NetworkArgument) -> None:
    context.obj = run


def features(
    context: typer.Context,
    images: list[Path],
    layer: str | None = None,
    out: Path = Path("CONV_rslt.png"),
    runs: RunsFolder = None,
) -> None:
    """Draw the maps that a layer, by default the first convolution, makes of each image.

    images IMAGE...: Image files of any size and mode, or folders of them.
    layer: A path as `cnnlab cost` prints it (3.body.1), or kind and number (conv2).
    out FILE.png: The figure; of several images FILE-<number>-<image>.png.
    """
    for path, found in api.inspection.draw_features(context.obj, images, out, layer, runs):
        label, probability = found.prediction.ranking[0]
        say(f"{found.prediction.image}: {label} {probability:.2%}, layer {found.path} ({found.layer}) in {path}")


def confusion(
    context: typer.Context,
    split: str = "test",
    out: Path | None = None,
    csv: Path | None = None,
    runs: RunsFolder = None,
) -> None:
    """Show which classes are taken for which, from the outputs stored in the run.

    split: test or val.
    out FILE.png: Draw the matrix here, and as SVG next to it.
    csv FILE: Write the counts here.
    """
    found, run = api.inspection.confusion(context.obj, split, runs), cnnlab.load_run(context.obj, runs).id
    title = f"{run}: {found.counts_KK.sum():,} {split} images, accuracy {found.accuracy:.1%}"
    say(f"{title}\n")
    rows = zip(found.classes, found.counts_KK.sum(axis=1), found.recall, found.precision, strict=True)
    say_table(
        ("class", "images", "recall", "precision"),
        [
            (name, f"{size:,}", percent(recall, 1, "-"), percent(precision, 1, "-"))
            for name, size, recall, precision in rows
        ],
    )
    say("\nmost frequent mistakes")
    for one in found.mistakes(_MISTAKES_SHOWN):
        say(f"  {one.count:,} of {one.true} ({one.share:.1%}) taken for {one.predicted}")
    if csv is not None:
        found.write_csv(csv)
        say(f"counts    {csv}")
    if out is not None:
        png, svg = api.inspection.draw_confusion(found, out, title)
        say(f"figure    {png}, {svg}")


@takes("data_dir", "download", runs=RunsFolder)
def landscape(
    context: typer.Context,
    options: "cnnlab.Options",
    images: int = 1000,
    points: int = 21,
    span: float = 1.0,
    directions: int | None = None,
    out: Path | None = None,
    csv: Path | None = None,
) -> None:
    """Measure the loss around the trained weights, and how convex it is; the numbers are kept in the run.

    images: Training images, evenly chosen, not augmented.
    points: Points on either axis, odd.
    span: How far to go from the weights, in units of their own length.
    directions SEED: Of the two random directions; else the run's seed.
    out FILE.png: Draw the surface here, and as SVG next to it.
    csv FILE: Write all losses here.
    """
    from cnnlab.cli.progress import progress_bar

    settings = api.inspection.LandscapeSettings(images, points, span, directions)
    run = cnnlab.load_run(context.obj, options.runs)
    with progress_bar("landscape") as on_step:
        found = api.inspection.landscape(str(run.path), settings, options, on_step, out)
    smooth = found.smoothness
    share = f"{smooth.nonconvex_points} of {smooth.inner_points} points"
    say(f"run           {run.id}")
    say(f"loss          {found.centre:.4f} at the weights, {smooth.lowest:.4f} to {smooth.highest:.4f} around")
    say(f"nonconvexity  {smooth.nonconvexity:.4f} (negative / largest curvature, mean; 0: convex), {share}")
    if csv is not None:
        found.write_csv(csv)
        say(f"losses        {csv}")
    if out is not None:
        say(f"figure        {out}, {out.with_suffix('.svg')}")


@takes("data_dir", "download", runs=RunsFolder)
def batchnorm(context: typer.Context, options: "cnnlab.Options", images: int = 5000, csv: Path | None = None) -> None:
    """Measure the outputs of batch norm in training and at inference; the numbers are kept in the run.

    images: Training images, evenly chosen, not augmented.
    csv FILE: Write mean and deviation of every channel here.
    """
    from cnnlab.cli.progress import progress_bar

    settings, run = api.inspection.BatchNormSettings(images), cnnlab.load_run(context.obj, options.runs)
    with progress_bar("batchnorm") as on_step:
        found = api.inspection.batchnorm(str(run.path), settings, options, on_step)
    say(f"{run.id}: |mean| of each channel, averaged; training in batches of {found.batch_size}\n")
    say(found.table())
    if csv is not None:
        found.write_csv(csv)
        say(f"\nchannels  {csv}")
