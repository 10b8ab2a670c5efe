"""A report as one HTML file that needs nothing else: style and figures are inside it."""

import base64
from pathlib import Path

from markupsafe import Markup, escape

from cnnlab.core.files import write_atomic
from cnnlab.report.document import Document, inline_tokens
from cnnlab.report.templating import MEDIA_TYPES, read_figure, render

_TAGS = {
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "em_open": "<em>",
    "em_close": "</em>",
    "link_close": "</a>",
}


def write_html(document: Document, path: Path) -> None:
    """Write the report. Raises CnnlabError for a figure that cannot be read, StorageError."""
    filters = {"inline": inline_html, "data_uri": data_uri}
    page = render("document.html.j2", filters, syntax={"autoescape": True}, document=document)
    write_atomic(path, page)


def inline_html(text: str) -> Markup:
    """Running text as HTML; whatever looks like HTML in it is shown, not obeyed."""
    parts = []
    for token in inline_tokens(text):
        if token.type == "code_inline":
            parts.append(Markup("<code>{}</code>").format(token.content))
        elif token.type == "link_open":
            parts.append(Markup('<a href="{}">').format(token.attrGet("href") or ""))
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(Markup(" "))
        elif token.type in _TAGS:
            parts.append(Markup(_TAGS[token.type]))
        else:
            parts.append(escape(token.content))
    return Markup("").join(parts)


def data_uri(file: Path) -> str:
    """A figure as a data URI."""
    return f"data:{MEDIA_TYPES[file.suffix]};base64,{base64.b64encode(read_figure(file)).decode()}"
