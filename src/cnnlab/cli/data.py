"""`cnnlab data`: get the official files, check what is there, look at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cnnlab.data.check import CheckReport
    from cnnlab.data.dataset import Images
    from cnnlab.data.download import Progress

app = typer.Typer(help="Get, check and look at data sets.", no_args_is_help=True)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Folder of the data; else $CNNLAB_DATA, else the user cache."
    ),
]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A data set's name, or a folder or .npz file.")]

PROBLEMS_FOUND = 3  # the documented exit code of bad data


@contextmanager
def _download_progress() -> Iterator["Progress"]:
    """A bar for every file, with speed and time left; silent where the output is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield show


@app.command("get")
def get_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="cifar10, cifar100, mnist, fashion-mnist.")],
    data_dir: DataDir = None,
    mirror: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Base address to try first; can be repeated.")
    ] = None,
) -> None:
    """Download the official files; an interrupted download continues, a wrong file is refused."""
    from cnnlab.data import NAMED_SOURCES, get

    if name in NAMED_SOURCES and NAMED_SOURCES[name].embedded:
        typer.echo(f"{name} is part of cnnlab, there is nothing to download")
        return
    with _download_progress() as progress:
        folder = get(name, data_dir, tuple(mirror or ()), progress)
    typer.echo(f"{name}: all files there and verified, in {folder}")


def _report_lines(report: "CheckReport") -> Iterator[str]:
    yield f"{report.location} ({report.format}), {len(report.classes)} classes"
    for split in report.splits:
        sizes = ", ".join(f"{size} ({count})" for size, count in list(split.sizes.items())[:5])
        modes = ", ".join(f"{mode} ({count})" for mode, count in split.modes.items())
        yield f"{split.name}: {split.num_images} images; sizes {sizes or '-'}; modes {modes or '-'}"
        if any(split.class_counts):
            named = zip(report.classes, split.class_counts, strict=True)
            yield "  by class: " + ", ".join(f"{name} {count}" for name, count in named)


@app.command("check")
def check_command(source: Source, data_dir: DataDir = None) -> None:
    """Read every image: labels, sizes, modes, unreadable files, class balance, test images in train."""
    from cnnlab.data.check import check

    report = check(source, data_dir)
    for line in _report_lines(report):
        typer.echo(line)
    for note in report.notes:
        typer.echo(f"note: {note}")
    for problem in report.problems:
        typer.echo(f"problem: {problem}", err=True)
    if report.problems:
        typer.echo(f"{len(report.problems)} problems found", err=True)
        raise typer.Exit(PROBLEMS_FOUND)
    typer.echo("no problems found")


@app.command("preview")
def preview_command(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write, .png.")] = Path(
        "sheet.png"
    ),
    augment: Annotated[bool, typer.Option("--augment", help="Show each image augmented as well.")] = False,
    recipe: Annotated[str, typer.Option(help="The recipe whose augmentation is shown.")] = "simplenn-aug",
    seed: Annotated[int, typer.Option(help="Seed of the augmentation's draws.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Draw a contact sheet: images of every class with their names, as stored and augmented."""
    import io

    from cnnlab.core.files import write_atomic
    from cnnlab.data import load
    from cnnlab.data.preview import contact_sheet

    change = None
    if augment:
        from cnnlab.augment import preview_batch
        from cnnlab.recipe import Recipe

        section = Recipe.load(recipe).augment

        def change(images: "Images") -> "Images":
            return preview_batch(images, section, seed)

    picture = io.BytesIO()
    contact_sheet(load(source, data_dir), change).save(picture, "PNG")
    write_atomic(out, picture.getvalue())
    typer.echo(f"wrote {out}")
