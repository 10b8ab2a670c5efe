"""A report as LaTeX: one source and its figures in a folder, for pdfLaTeX, XeLaTeX and LuaLaTeX with common packages.

LaTeX reads no SVG: of such a figure the PDF of the same name beside it is taken, or else the PNG.
"""

from pathlib import Path
from urllib.parse import quote

from cnnlab.core.files import storage_errors, write_atomic
from cnnlab.report.document import Document, Table, inline_tokens
from cnnlab.report.templating import read_figure, render

SOURCE = "report.tex"

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "-{}",  # two hyphens side by side would be a dash
    "[": "{[}",  # an item or a row that began with one would be read as its option
    "]": "{]}",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≈": r"\ensuremath{\approx}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "·": r"\ensuremath{\cdot}",
    "²": r"\ensuremath{^2}",
    "³": r"\ensuremath{^3}",
    "“": "``",
    "”": "''",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "→": r"\ensuremath{\rightarrow}",
    "\u00a0": "~",
}
# LaTeX is full of braces: the template marks its own words with angles.
_SYNTAX = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
_MARKS = {
    "strong_open": r"\textbf{",
    "strong_close": "}",
    "em_open": r"\emph{",
    "em_close": "}",
    "link_close": "}",
}


def write_latex(document: Document, folder: Path) -> Path:
    """Write `report.tex` and its figures into `folder`; returns the source's path.

    `pdflatex report.tex`, twice, makes the PDF. Raises CnnlabError for a figure that cannot be read, StorageError.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for number, picture in enumerate(document.pictures, start=1):
        source = readable_figure(picture.file)
        name = f"figure-{number}{source.suffix}"
        write_atomic(folder / name, read_figure(source))
        names[picture.file] = name
    write_atomic(folder / SOURCE, latex_source(document, names))
    return folder / SOURCE


def latex_source(document: Document, figures: dict[Path, str]) -> str:
    """The report as LaTeX; `figures` maps each picture's file to its name beside the source."""
    filters = {
        "inline": inline_latex,
        "escape_latex": escape_latex,
        "verbatim": verbatim,
        "columns": column_types,
    }
    return render("document.tex.j2", filters, syntax=_SYNTAX, document=document, figures=figures)


def inline_latex(text: str) -> str:
    """Running text as LaTeX; whatever looks like a command in it is shown, not obeyed."""
    parts = []
    for token in inline_tokens(text):
        if token.type == "code_inline":
            parts.append(rf"\code{{{breakable(token.content)}}}")
        elif token.type == "link_open":
            parts.append(rf"\href{{{_url(str(token.attrGet('href') or ''))}}}{{")
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        else:
            parts.append(_MARKS.get(token.type) or escape_latex(token.content))
    return "".join(parts)


def escape_latex(text: str) -> str:
    """Text as LaTeX that shows it letter by letter; of what the usual fonts lack it shows the code point."""
    escaped = "".join(_SPECIAL.get(letter) or _letter(letter) for letter in text)
    return escaped.replace(",,", ",{},")  # T1 fonts make a quotation mark of two commas


def breakable(text: str) -> str:
    """Code in running text: a line may end behind its dots, slashes, hyphens and underscores."""
    escaped = (escape_latex(letter) + (r"\allowbreak{}" if letter in "./_-,=" else "") for letter in text)
    return "".join(escaped)


def verbatim(text: str) -> str:
    """Lines of code for the `codelines` environment: spaces kept, each line ended, long ones may break at spaces."""
    lines = []
    for line in text.expandtabs(4).splitlines():
        body = line.strip(" ")
        indent = r"\ " * (len(line.rstrip(" ")) - len(body))
        # A space is a place to break; further ones beside it are control spaces, which TeX does not swallow.
        shown = " ".join(escape_latex(word) or "\\" for word in body.split(" ")) if body else ""
        lines.append(rf"\mbox{{}}{indent}{shown}\par")
    return "\n".join(lines)


def column_types(table: Table) -> str:
    """Numbers to the right; columns of words share the rest of the line. At least one must."""
    first, *rest = ("r" if numeric else "L" for numeric in table.numeric)
    return "".join([first if "L" in rest else "L", *rest])


def readable_figure(file: Path) -> Path:
    """The file that LaTeX can read: for an SVG the PDF beside it, else the PNG."""
    if file.suffix != ".svg":
        return file
    others = [file.with_suffix(suffix) for suffix in (".pdf", ".png")]
    return next((other for other in others if other.exists()), others[0])


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    # Latin letters, accents included, are what inputenc and T1 fonts know for certain.
    return letter if letter.isprintable() and ord(letter) < 0x180 else f"{{[}}U+{ord(letter):04X}{{]}}"


def _url(address: str) -> str:
    r"""An address inside \href: what TeX would obey is percent-encoded, and the percent signs escaped."""
    encoded = quote(address, safe=":/?=&@+,;~-._()#%")
    return "".join(f"\\{letter}" if letter in "%#&_" else letter for letter in encoded)
