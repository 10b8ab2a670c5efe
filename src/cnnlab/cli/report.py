"""`cnnlab report STUDY`: a study as something to hand in."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import SetOption
from cnnlab.cli.runs import RunsFolder
from cnnlab.cli.study import AlsoOption, StudyArgument

if TYPE_CHECKING:
    from cnnlab.report.study_report import Format


def report(
    study: StudyArgument,
    html: Annotated[bool, typer.Option("--html", help="One HTML file; this is the default.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF, set by Typst.")] = False,
    notebook: Annotated[bool, typer.Option("--notebook", help="A Jupyter notebook.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="A LaTeX source with its figures.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The numbers as CSV tables, in full precision.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; else reports/STUDY.")
    ] = None,
    runs: RunsFolder = None,
    changes: SetOption = None,
    also: AlsoOption = None,
) -> None:
    """Write the report of a study: question, answer, results, claims with their verdicts, curves, recipes, code.

    Made from the runs that are complete; of an incomplete study it says what is missing.
    """
    from cnnlab.report.study.wording import command_line
    from cnnlab.report.study_report import write_study_report
    from cnnlab.runs import runs_root
    from cnnlab.study.definition import Study
    from cnnlab.study.facts import facts_of
    from cnnlab.study.record import read_study

    chosen = Study.load(study, changes or ())
    found = read_study(chosen, runs_root(runs), also or ())
    facts = facts_of(found, (command_line(["cnnlab", *sys.argv[1:]]),))
    folder = out or Path("reports") / chosen.name
    asked: dict[Format, bool] = {"html": html, "pdf": pdf, "notebook": notebook, "latex": latex, "csv": csv}
    formats: list[Format] = [name for name, wanted in asked.items() if wanted] or ["html"]
    for path in write_study_report(facts, folder, formats):
        typer.echo(str(path))
