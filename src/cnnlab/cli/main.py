"""The `cnnlab` command: registers the commands."""

import sys
from importlib import import_module
from io import TextIOWrapper

import typer

from cnnlab.cli.exits import errors_to_exit_codes
from cnnlab.core.errors import EXIT_CODES

_COMMANDS = {
    "training": "demo train resume",
    "predictions": "predict score grade",
    "networks": "export import_weights cost",
    "study": "report",
}
_GROUPS = "inspect bench study runs recipes data"
_EXIT_CODE_HELP = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    name="cnnlab",
    help="A laboratory for convolutional networks on small images.",
    epilog=f"Exit codes: {_EXIT_CODE_HELP}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module, _names in _COMMANDS.items():
    for _name in _names.split():
        app.command(_name.replace("_", "-"))(getattr(import_module(f"cnnlab.cli.{_module}"), _name))
for _name in _GROUPS.split():
    app.add_typer(import_module(f"cnnlab.cli.{_name}").app, name=_name)


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
