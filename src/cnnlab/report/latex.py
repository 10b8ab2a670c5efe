"""A report as LaTeX: one source and its figures in a folder, for pdfLaTeX, XeLaTeX and LuaLaTeX with common packages.

LaTeX cannot read SVG: for such a figure, the PDF or else the PNG of the same name next to it is used.
"""

from pathlib import Path

from cnnlab.core.files import write_atomic
from cnnlab.report.document import Document
from cnnlab.report.latex_tables import columns
from cnnlab.report.latex_text import escape_latex, inline_latex, verbatim
from cnnlab.report.templating import copy_figures, render

SOURCE = "report.tex"

# LaTeX uses many braces, so the template marks its own words with angle brackets.
_SYNTAX = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


def write_latex(document: Document, folder: Path) -> Path:
    """Write `report.tex` and its figures into `folder`; returns the source's path.

    `pdflatex report.tex`, twice, makes the PDF. Raises CnnlabError for a figure that cannot be read, StorageError.
    """
    names = copy_figures(document, folder, readable_figure)
    write_atomic(folder / SOURCE, latex_source(document, names))
    return folder / SOURCE


def latex_source(document: Document, figures: dict[Path, str]) -> str:
    """The report as LaTeX; `figures` maps each picture's file to its name next to the source."""
    functions = (escape_latex, verbatim, columns)
    filters = {"inline": inline_latex, **{function.__name__: function for function in functions}}
    return render("document.tex.j2", filters, syntax=_SYNTAX, document=document, figures=figures)


def readable_figure(file: Path) -> Path:
    """The file that LaTeX can read: for an SVG the PDF next to it, else the PNG."""
    if file.suffix != ".svg":
        return file
    others = [file.with_suffix(suffix) for suffix in (".pdf", ".png")]
    return next((other for other in others if other.exists()), others[0])
