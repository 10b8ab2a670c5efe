"""How a command gets its options: help texts from its docstring, options shared by several commands as one value."""

import copy
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

import cnnlab

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value of the recipe, e.g. optim.lr=0.1."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:INDEX or mps.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads; all cores if not given.")]
CompileOption = Annotated[str, typer.Option(help="torch.compile: auto (when it pays), on or off.")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder with data sets; else CNNLAB_DATA, else the user cache.")
]
RunsOption = Annotated[
    Path | None, typer.Option("--runs", "--out", help="Folder of the runs; else CNNLAB_RUNS, else ./runs.")
]
# For commands whose --out is something else, or which only read runs.
RunsFolder = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Folder of the runs; else CNNLAB_RUNS, else ./runs."),
]
DownloadOption = Annotated[bool, typer.Option(help="Download the data set if it is not found.")]
NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL", help="A run as `cnnlab runs` names it, or a model file, *.safetensors."
    ),
]
AtLeastOne = Annotated[int, typer.Option(min=1)]

SHARED: dict[str, tuple[Any, Any]] = {
    "changes": (SetOption, None),
    "device": (DeviceOption, "auto"),
    "threads": (ThreadsOption, None),
    "compile": (CompileOption, "auto"),
    "data_dir": (DataDirOption, None),
    "runs": (RunsOption, None),
    "download": (DownloadOption, True),
}
"""Name -> type of the option for Typer, and its default."""

Command = Callable[..., None]

# name [--flag...] [METAVAR]: help
_HELP_LINE = re.compile(r"(\w+)((?: --?[\w-]+)*)(?: (\S+))?: (.+)")


def options(**given: Any) -> "cnnlab.Options":
    """The library's options; a download shows its progress. Raises CnnlabError."""
    from cnnlab.cli.progress import download_bars

    return cnnlab.Options(**given, download_display=download_bars)


def takes(
    *names: str, into: str = "options", make: Callable[..., Any] = options, **others: Any
) -> Callable[[Command], Command]:
    """Prepare a command for Typer: described by its docstring, shared options made into one value.

    After its first paragraph the docstring has a line `name [--flag] [METAVAR]: help` for each parameter of its own.
    A parameter without default and flag is a positional argument; so is one whose METAVAR is in brackets.

    `names` are options in `SHARED`; `others` are a name and its type for Typer, None by default. Their values are
    given to `make`, and what that returns to the command's parameter `into`.
    """
    shared = {name: SHARED[name] for name in names if name not in others}
    shared |= {name: (kind, Parameter.empty if name == into else None) for name, kind in others.items()}

    def prepare(command: Command) -> Command:
        summary, helps = _read_docstring(command)
        own = [one for one in inspect.signature(command).parameters.values() if one.name != into]
        parameters = [_described(one, helps) for one in own] + [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in shared.items()
        ]

        @functools.wraps(command)
        def call(**values: Any) -> None:
            if shared:
                values[into] = make(**{name: values.pop(name) for name in shared})
            command(**values)

        call.__doc__ = summary
        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return prepare


def _read_docstring(command: Command) -> tuple[str, dict[str, re.Match[str]]]:
    """The first paragraph, and the line of each parameter by its name; an indented line continues the one before."""
    summary, _, rest = (inspect.getdoc(command) or "").partition("\n\n")
    entries = [" ".join(entry.split()) for entry in re.split(r"\n(?! )", rest)]
    found = [match for entry in entries if (match := _HELP_LINE.fullmatch(entry))]
    return summary, {match[1]: match for match in found}


def _described(parameter: Parameter, helps: Mapping[str, re.Match[str]]) -> Parameter:
    """The parameter with flags, metavar and help as its line in the docstring has them."""
    parameter = parameter.replace(kind=Parameter.KEYWORD_ONLY)
    if parameter.name not in helps:
        return parameter
    _, flags, metavar, text = helps[parameter.name].groups()
    is_argument = (metavar or "").startswith("[") or (parameter.default is Parameter.empty and not flags)
    kind, info = parameter.annotation, typer.Argument() if is_argument else typer.Option()
    if get_origin(kind) is Annotated:
        kind, info = get_args(kind)[0], copy.copy(get_args(kind)[1])
    if parameter.default is False and not flags:
        flags = "--" + parameter.name.replace("_", "-")  # without this Typer would add --no-...
    info.param_decls, info.metavar, info.help = tuple(flags.split()), metavar, text
    return parameter.replace(annotation=Annotated[kind, info])
