"""`cnnlab data`: download the official files, check a data set, preview it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cnnlab import api
from cnnlab.cli.execution import options

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A data set's name, or a folder or .npz file.")]

PROBLEMS_FOUND = 3  # the documented exit code of bad data


def get(name: str, data_dir: Path | None = None, mirror: list[str] | None = None) -> None:
    """Download the official files; an interrupted download continues, a wrong file is refused.

    name NAME: cifar10, cifar100, mnist, fashion-mnist.
    mirror URL: Base address to try first; can be repeated.
    """
    folder = api.data.get(name, options(data_dir=data_dir), mirror or ())
    if folder is None:
        typer.echo(f"{name} is part of cnnlab, there is nothing to download")
    else:
        typer.echo(f"{name}: all files there and verified, in {folder}")


def _report_lines(report: "api.data.CheckReport") -> Iterator[str]:
    yield f"{report.location} ({report.format}), {len(report.classes)} classes"
    for split in report.splits:
        sizes = ", ".join(f"{size} ({count})" for size, count in list(split.sizes.items())[:5])
        modes = ", ".join(f"{mode} ({count})" for mode, count in split.modes.items())
        yield f"{split.name}: {split.num_images} images; sizes {sizes or '-'}; modes {modes or '-'}"
        if any(split.class_counts):
            named = zip(report.classes, split.class_counts, strict=True)
            yield "  by class: " + ", ".join(f"{name} {count}" for name, count in named)
    yield from (f"note: {note}" for note in report.notes)


def check(source: Source, data_dir: Path | None = None) -> None:
    """Read every image: labels, sizes, modes, unreadable files, class balance, test images in train."""
    report = api.data.check(source, data_dir)
    for line in _report_lines(report):
        typer.echo(line)
    for problem in report.problems:
        typer.echo(f"problem: {problem}", err=True)
    if report.problems:
        typer.echo(f"{len(report.problems)} problems found", err=True)
        raise typer.Exit(PROBLEMS_FOUND)
    typer.echo("no problems found")


def preview(
    source: Source,
    out: Path = Path("sheet.png"),
    size: str | None = None,
    augment: bool = False,
    recipe: str | None = None,
    changes: list[str] | None = None,
    seed: int = 0,
    data_dir: Path | None = None,
) -> None:
    """Draw a contact sheet: images of every class with their names, as stored and augmented.

    out FILE: The picture to write, .png.
    size HxW: Bring a folder's or Parquet file's images to this size.
    augment: Show each image augmented as well.
    recipe: The recipe whose augmentation is shown, implies --augment, as does --set; else simplenn-aug.
    seed: Seed of the augmentation's draws.
    """
    wanted = recipe or ("simplenn-aug" if augment or changes else None)
    api.data.preview(source, data_dir, size, wanted, changes or (), seed, out)
    typer.echo(f"wrote {out}")
