"""A report as one HTML file with style and figures inside."""

import base64
from pathlib import Path

from markupsafe import Markup

from cnnlab.core.files import write_atomic
from cnnlab.report.document import MARKDOWN, Document
from cnnlab.report.templating import MEDIA_TYPES, read_figure, render


def write_html(document: Document, path: Path) -> None:
    """Write the report. Raises CnnlabError for a figure that cannot be read, StorageError."""
    filters = {"inline": inline_html, "data_uri": data_uri}
    page = render("document.html.j2", filters, syntax={"autoescape": True}, document=document)
    write_atomic(path, page)


def inline_html(text: str) -> Markup:
    """Running text as HTML; HTML in it is shown, not interpreted."""
    return Markup(MARKDOWN.renderInline(text))


def data_uri(file: Path) -> str:
    return f"data:{MEDIA_TYPES[file.suffix]};base64,{base64.b64encode(read_figure(file)).decode()}"
