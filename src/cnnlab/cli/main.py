"""The `cnnlab` command: registers the commands."""

import sys
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType

import typer

from cnnlab.cli.execution import takes
from cnnlab.cli.exits import errors_to_exit_codes
from cnnlab.core.errors import EXIT_CODES

# Module -> the functions in it that are commands.
_COMMANDS = {
    "training": "demo train resume",
    "predictions": "predict score grade",
    "networks": "export import_weights cost",
    "study": "report",
}
# Group -> its help, its module and the functions there.
_GROUPS = {
    "inspect": (
        "Look inside a trained network: feature maps, confusion, loss surface, batch norm.",
        "inspect",
        "features confusion landscape batchnorm",
    ),
    "bench": ("Measure speed on this machine.", "networks", "latency"),
    "study": (
        "Compare recipes under several seeds, and judge claims about them.",
        "study",
        "ls plan run status settle search measure claims",
    ),
    "runs": ("List, show, compare and query runs.", "runs", "ls show diff query"),
    "recipes": ("List the recipes that come with cnnlab, print one in full.", "recipes", "ls show"),
    "data": ("Get, check and look at data sets.", "data", "get check preview"),
}
_EXIT_CODE_HELP = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    name="cnnlab",
    help="A laboratory for convolutional networks on small images.",
    epilog=f"Exit codes: {_EXIT_CODE_HELP}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_commands(to: typer.Typer, module: ModuleType, names: str) -> None:
    for name in names.split():
        to.command(name.replace("_", "-"))(takes()(getattr(module, name)))


for _name, _names in _COMMANDS.items():
    _add_commands(app, import_module(f"cnnlab.cli.{_name}"), _names)
for _name, (_help, _file, _names) in _GROUPS.items():
    _module = import_module(f"cnnlab.cli.{_file}")
    _group = typer.Typer(help=_help, callback=getattr(_module, "callback", None), no_args_is_help=True)
    _add_commands(_group, _module, _names)
    app.add_typer(_group, name=_name)


@app.callback(invoke_without_command=True)
def _global_options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from cnnlab import __version__

        print(f"cnnlab {__version__}")
        raise typer.Exit


def run() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal's encoding lacks stops no training
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with errors_to_exit_codes():
        app()
