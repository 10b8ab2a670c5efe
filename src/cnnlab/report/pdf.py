"""A report as PDF, set by Typst: no browser, no TeX. SVG figures stay vector."""

import tempfile
from pathlib import Path
from typing import Any

from cnnlab.core.files import write_atomic
from cnnlab.report.document import Document, InlineWriter
from cnnlab.report.templating import copy_figures, optional_module, render


def write_pdf(document: Document, path: Path) -> None:
    """Write the report. Raises CnnlabError without Typst or for a figure that cannot be read, StorageError."""
    typst = require_typst()
    with tempfile.TemporaryDirectory() as folder:
        figures = copy_figures(document, Path(folder))
        (Path(folder) / "main.typ").write_text(typst_source(document, figures), encoding="utf-8")
        content = typst.compile(str(Path(folder) / "main.typ"), root=folder)
    write_atomic(path, content)


def typst_source(document: Document, figures: dict[Path, str]) -> str:
    """The report in Typst's language; `figures` maps each picture's file to its name next to the source."""
    filters = {"inline": inline_typst, "string": typst_string}
    return render("document.typ.j2", filters, document=document, figures=figures)


def typst_string(text: str) -> str:
    """A string value in Typst's language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# Text is written as string values, so nothing in it is executed; a semicolon ends each of them.
inline_typst = InlineWriter(
    marks={"strong_open": "#strong[", "strong_close": "]", "em_open": "#emph[", "em_close": "]"},
    plain=lambda text: f"#{typst_string(text)};",
    code=lambda text: f"#raw({typst_string(text)});",
    link=lambda address: (f"#link({typst_string(address)})[", "]"),
)


def require_typst() -> Any:
    """The module that sets PDFs. Raises CnnlabError with the command that installs it."""
    return optional_module("typst", "a PDF needs Typst", "pdf")
