"""The `cnnlab` command: registers the commands, turns our errors into messages and exit codes."""

import sys

import typer

from cnnlab.cli import cost, data, demo, predict, recipes, resume, runs, train
from cnnlab.cli.console import err, show_problems
from cnnlab.core.errors import EXIT_CODES, CnnlabError, Interrupted

_EXIT_CODE_HELP = (
    "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."
)

app = typer.Typer(
    name="cnnlab",
    help="A laboratory for convolutional networks on small images.",
    epilog=_EXIT_CODE_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(train.train)
app.command()(resume.resume)
app.command()(predict.predict)
app.command()(cost.cost)
app.add_typer(runs.app, name="runs")
app.add_typer(recipes.app, name="recipes")
app.add_typer(data.app, name="data")


@app.callback(invoke_without_command=True)
def _global_options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from cnnlab import __version__

        print(f"cnnlab {__version__}")
        raise typer.Exit


def run() -> None:
    """Entry point of the console script."""
    try:
        app()
    except CnnlabError as error:
        show_problems(error.problems)
        sys.exit(error.exit_code)
    except Interrupted as stopped:
        err.print(str(stopped), markup=False)
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nobody is left to tell.
        sys.stderr.close()
        sys.exit(0)
