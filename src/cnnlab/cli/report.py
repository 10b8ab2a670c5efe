"""`cnnlab report STUDY`: a study as something to hand in."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnnlab.cli.execution import RunsFolder
from cnnlab.cli.study import AlsoOption, of_study

if TYPE_CHECKING:
    from cnnlab import Study


@of_study(runs=RunsFolder, also=AlsoOption)
def report(
    study: "Study",
    html: Annotated[bool, typer.Option("--html", help="One HTML file; this is the default.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF, set by Typst.")] = False,
    notebook: Annotated[bool, typer.Option("--notebook", help="A Jupyter notebook.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="A LaTeX source with its figures.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The numbers as CSV tables, in full precision.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; else reports/STUDY.")
    ] = None,
) -> None:
    """Write the report of a study: question, answer, results, claims with their verdicts, curves, recipes, code.

    Made from the runs that are complete; of an incomplete study it says what is missing.
    """
    asked: dict[Literal["html", "pdf", "notebook", "latex", "csv"], bool]
    asked = {"html": html, "pdf": pdf, "notebook": notebook, "latex": latex, "csv": csv}
    formats = [name for name, wanted in asked.items() if wanted]
    for path in study.report(out, *formats, command=["cnnlab", *sys.argv[1:]]):
        typer.echo(str(path))
