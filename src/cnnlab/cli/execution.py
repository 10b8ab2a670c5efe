"""The options that several commands share: where data and runs lie, how to execute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cnnlab.launch.options import Options

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value of the recipe, e.g. optim.lr=0.1."),
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the training (same as --set seed=N).")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:INDEX or mps.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads; all cores if not given.")]
CompileOption = Annotated[str, typer.Option(help="torch.compile: auto (when it pays), on or off.")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder with data sets; else CNNLAB_DATA, else the user cache.")
]
RunsOption = Annotated[
    Path | None, typer.Option("--runs", "--out", help="Folder of the runs; else CNNLAB_RUNS, else ./runs.")
]
DownloadOption = Annotated[bool, typer.Option(help="Fetch the data set if it is not found.")]
RunArgument = Annotated[str, typer.Argument(help="Run folder, id, unique beginning of an id, or `last`.")]

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL", help="A run as `cnnlab runs` names it, or a model file, *.safetensors."
    ),
]


def options(
    device: str, threads: int | None, compile: str, data_dir: Path | None, runs: Path | None, download: bool
) -> "Options":
    """The library's options. Raises CnnlabError."""
    from cnnlab.cli.download import download_bars
    from cnnlab.launch.options import Options

    return Options(
        device=device,
        threads=threads,
        compile=compile,
        data_dir=data_dir,
        runs=runs,
        download=download,
        download_display=download_bars,
    )
