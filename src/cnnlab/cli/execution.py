"""The options that several commands share: where data and runs lie, how to execute."""

import functools
from collections.abc import Callable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cnnlab import Options

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
RunsFolder = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Folder of the runs; else $CNNLAB_RUNS, else ./runs."),
]
DownloadOption = Annotated[bool, typer.Option(help="Fetch the data set if it is not found.")]
RunArgument = Annotated[str, typer.Argument(help="Run folder, id, unique beginning of an id, or `last`.")]

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL", help="A run as `cnnlab runs` names it, or a model file, *.safetensors."
    ),
]


SHARED: dict[str, tuple[Any, Any]] = {
    "changes": (SetOption, None),
    "device": (DeviceOption, "auto"),
    "threads": (ThreadsOption, None),
    "compile": (CompileOption, "auto"),
    "data_dir": (DataDirOption, None),
    "runs": (RunsOption, None),
    "download": (DownloadOption, True),
}
"""Name -> what Typer is told of the option, and its default."""

Command = Callable[..., None]


def options(**given: Any) -> "Options":
    """The library's options; a download shows its progress. Raises CnnlabError."""
    from cnnlab import Options
    from cnnlab.cli.download import download_bars

    return Options(**given, download_display=download_bars)


def takes(
    *names: str, into: str = "options", make: Callable[..., Any] = options, **others: Any
) -> Callable[[Command], Command]:
    """For Typer: the command with options that it shares with others, which it gets made into one value.

    `names` are in `SHARED`; `others` are a name and what Typer is told, None by default. All of them are given to
    `make`, and the command's parameter `into` is what that returns.
    """
    shared = {name: SHARED[name] for name in names if name not in others}
    shared |= {name: (kind, Parameter.empty if name == into else None) for name, kind in others.items()}

    def with_options(command: Command) -> Command:
        own = [one for one in signature(command).parameters.values() if one.name != into]
        parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own] + [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in shared.items()
        ]

        @functools.wraps(command)
        def call(**values: Any) -> None:
            made = make(**{name: values.pop(name) for name in shared})
            command(**values, **{into: made})

        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return with_options
