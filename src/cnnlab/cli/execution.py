"""How a command gets its options: described by docstrings, those of several commands as one value."""

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

Command = Callable[..., None]

NetworkArgument = Annotated[
    str, typer.Argument(metavar="RUN|MODEL", help="A run as `cnnlab runs` names it, or a model file, *.safetensors.")
]
# For commands whose --out is another file, or which only read runs.
RunsFolder = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="Folder of the runs; else CNNLAB_RUNS, else ./runs.")
]
AtLeastOne = Annotated[int, typer.Option(min=1)]

# name [--flag...] [METAVAR]: help
_HELP_LINE = re.compile(r"(\w+)((?: --?[\w-]+)*)(?: (\S+))?: (.+)")


def shared(
    changes: list[str] | None = None,
    engine: str = "torch",
    device: str = "auto",
    threads: int | None = None,
    compile: str = "auto",
    data_dir: Path | None = None,
    runs: Path | None = None,
    download: bool = True,
) -> None:
    """Options of several commands.

    changes --set -s KEY=VALUE: Change a value of the recipe, e.g. optim.lr=0.1.
    engine: torch, or scratch: forward and backward by hand in NumPy, on the CPU.
    device: auto, cpu, cuda, cuda:INDEX or mps.
    threads: CPU threads; all cores if not given.
    compile: torch.compile: auto (when it pays), on or off.
    data_dir: Folder with data sets; else CNNLAB_DATA, else the user cache.
    runs --runs --out: Folder of the runs; else CNNLAB_RUNS, else ./runs.
    download: Download the data set if it is not found.
    """


def options(**given: Any) -> "cnnlab.Options":
    """The library's options; a download shows its progress. Raises CnnlabError."""
    from cnnlab.cli.progress import download_bars

    return cnnlab.Options(**given, download_display=download_bars)


def takes(
    *names: str, into: str = "options", make: Callable[..., Any] = options, **kinds: Any
) -> Callable[[Command], Command]:
    """Prepare a command for Typer: described by its docstring, some options made into one value.

    After its first paragraph the docstring has a line `name [--flag] [METAVAR]: help` for each parameter. One
    without default and flag is a positional argument; so is one whose METAVAR is in brackets. A parameter without a
    line has the help of the same name in `shared`.

    The options `names`, parameters of `make` or `shared`, are given to `make`, and what it returns to the command's
    parameter `into`. So are `kinds`, options with another type for Typer.
    """
    known = SHARED | _parameters(make, SHARED)[1]
    packed = {name: known[name] for name in names}
    packed |= {name: known[name].replace(annotation=kind) for name, kind in kinds.items()}

    def prepare(command: Command) -> Command:
        summary, own = _parameters(command, SHARED)
        own.pop(into, None)
        parameters = [*own.values(), *packed.values()]

        @functools.wraps(command)
        def call(**values: Any) -> None:
            if packed:
                values[into] = make(**{name: values.pop(name) for name in packed})
            command(**values)

        call.__doc__ = summary
        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return prepare


def _parameters(function: Callable[..., Any], known: Mapping[str, Parameter]) -> tuple[str, dict[str, Parameter]]:
    """The first paragraph of a docstring, and the described parameters; an indented line continues the one before."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    entries = [" ".join(entry.split()) for entry in re.split(r"\n(?! )", rest)]
    helps = {match[1]: match for entry in entries if (match := _HELP_LINE.fullmatch(entry))}
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        parameter = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        if name in helps:
            parameter = _described(parameter, helps[name])
        elif name in known and get_origin(parameter.annotation) is not Annotated:
            parameter = known[name]
        found[name] = parameter
    return summary, found


def _described(parameter: Parameter, line: re.Match[str]) -> Parameter:
    """The parameter with flags, metavar and help as in its line of the docstring."""
    _, flags, metavar, text = line.groups()
    is_argument = (metavar or "").startswith("[") or (parameter.default is Parameter.empty and not flags)
    kind, info = parameter.annotation, typer.Argument() if is_argument else typer.Option()
    if get_origin(kind) is Annotated:
        kind, info = get_args(kind)[0], copy.copy(get_args(kind)[1])
    if parameter.default is False and not flags:
        flags = "--" + parameter.name.replace("_", "-")  # without this Typer would add --no-...
    info.param_decls, info.metavar, info.help = tuple(flags.split()), metavar, text
    return parameter.replace(annotation=Annotated[kind, info])


SHARED = _parameters(shared, {})[1]
