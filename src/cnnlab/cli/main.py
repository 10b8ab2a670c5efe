"""The `cnnlab` command: registers the commands."""

import typer

from cnnlab.cli import (
    bench,
    cost,
    data,
    demo,
    export,
    grade,
    import_weights,
    inspect,
    predict,
    recipes,
    report,
    resume,
    runs,
    score,
    study,
    train,
)
from cnnlab.cli.exits import errors_to_exit_codes
from cnnlab.core.errors import EXIT_CODES

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
app.command()(score.score)
app.command()(grade.grade)
app.command()(export.export)
app.command("import-weights")(import_weights.import_weights)
app.command()(cost.cost)
app.command()(report.report)
app.add_typer(inspect.app, name="inspect")
app.add_typer(bench.app, name="bench")
app.add_typer(study.app, name="study")
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
    with errors_to_exit_codes():
        app()
