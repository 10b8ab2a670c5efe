"""The report of a study: from plain values to a document and then HTML, PDF, notebook and LaTeX; also CSV.

The report of an incomplete study lists what is missing and claims nothing that its runs do not show.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from cnnlab.core.files import storage_errors
from cnnlab.core.numbers import count
from cnnlab.report.document import Document, Paragraph, Section
from cnnlab.report.html import write_html
from cnnlab.report.latex import write_latex
from cnnlab.report.notebook import write_notebook
from cnnlab.report.pdf import write_pdf
from cnnlab.report.study.contrast import contrast_section
from cnnlab.report.study.csv_tables import write_csv_tables
from cnnlab.report.study.curves import curves_section
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.models import models_section
from cnnlab.report.study.published import published_section
from cnnlab.report.study.results import results_section
from cnnlab.report.study.setting import (
    cost_section,
    design_blocks,
    environment_section,
    recipes_section,
    repeat_section,
)
from cnnlab.report.study.snippets import code_section
from cnnlab.report.study.verdicts import absent_section, answer, claims_section
from cnnlab.report.study.weights import weights_section
from cnnlab.report.study.wording import plain, seeds

Format = Literal["html", "pdf", "notebook", "latex", "csv"]
_WRITERS: dict[Format, tuple[Callable[[Document, Path], None], str]] = {
    "html": (write_html, "report.html"),
    "pdf": (write_pdf, "report.pdf"),
    "notebook": (write_notebook, "report.ipynb"),
}
DOCUMENTS: frozenset[Format] = frozenset({*_WRITERS, "latex"})


def write_study_report(facts: StudyFacts, out: Path, formats: Sequence[Format]) -> list[Path]:
    """Write `report.html`, `.pdf`, `.ipynb`, `latex/`, `tables/` into `out`, as `formats` list them; returns the paths.

    The figures of documents are written to `figures/`. Raises CnnlabError if Typst is missing for a PDF or nbformat for
    a notebook, RunError for runs that lack values a report needs, StorageError.
    """
    written = _write_documents(facts, out, formats) if DOCUMENTS & set(formats) else []
    if "csv" in formats:
        written.append(write_csv_tables(facts, out / "tables"))
    return written


def _write_documents(facts: StudyFacts, out: Path, formats: Sequence[Format]) -> list[Path]:
    figures = out / "figures"
    with storage_errors(figures):
        figures.mkdir(parents=True, exist_ok=True)
    document = study_document(facts, figures)
    written = []
    for name, (write, file) in _WRITERS.items():
        if name in formats:
            write(document, out / file)
            written.append(out / file)
    if "latex" in formats:
        written.append(write_latex(document, out / "latex"))
    return written


def study_document(facts: StudyFacts, figures: Path) -> Document:
    """The report as a value; its figures are drawn into the folder `figures`. Raises RunError, StorageError."""
    sections = (
        Section("Question", (Paragraph(plain(facts.question)), *design_blocks(facts))),
        Section("Answer", answer(facts)),
        absent_section(facts),
        models_section(facts, figures),
        results_section(facts, figures),
        claims_section(facts),
        published_section(facts),
        curves_section(facts, figures),
        contrast_section(facts, figures),
        weights_section(facts, figures),
        cost_section(facts),
        recipes_section(facts),
        environment_section(facts),
        code_section(facts),
        repeat_section(facts),
    )
    return Document(
        f"Study {facts.name}",
        f"{count(len(facts.arms), 'arm')}, {seeds(facts.seeds)}, {count(len(facts.runs), 'complete run')}",
        tuple(section for section in sections if section is not None and section.blocks),
        "Every number comes from the run folders listed above; the statistics are those of cnnlab's "
        "`docs/statistics.md`.",
    )
