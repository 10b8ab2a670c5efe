"""LaTeX sources: whatever a text holds, nothing of it is obeyed, and braces and environments are balanced.

No TeX is at hand in most places, so a small reader of TeX's own rules stands in for it; where `pdflatex` is installed,
it sets the document as well.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.core.errors import CnnlabError
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.latex import (
    _SPECIAL,
    breakable,
    column_types,
    escape_latex,
    inline_latex,
    latex_source,
    verbatim,
    write_latex,
)

KNOWN = {
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"),
    *("textquotedbl", "textasciigrave", "textquotesingle", "ensuremath", "pm", "times", "approx", "leq"),
    *("geq", "cdot", "ldots", "rightarrow", "allowbreak", "textbf", "emph", "code", "href", "mbox", "par"),
}
SPECIAL = "\\{}$&#%_^~<>|\"`'-[]−±×,.;!?"
TEXTS = st.text(st.sampled_from(SPECIAL + " abcdefß0123456789λ\n*()") | st.characters(), max_size=40)


def read(source: str) -> None:
    """Fails where a command is none of ours, a brace has no partner, or a letter that TeX obeys stands bare."""
    assert set(re.findall(r"\\([A-Za-z]+)", source)) <= KNOWN
    rest = re.sub(r"\\([A-Za-z]+|[{}$&#%_])", "", source)
    depth = 0
    for letter in rest:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
        assert letter not in "\\$&#%_^~<>|\"`'"
    assert depth == 0
    assert not re.search("--|,,", rest)


def shown(source: str) -> str:
    """What TeX would print, for the escapes of ours: the inverse of `escape_latex`."""
    source = source.replace(",{},", ",,")
    pattern = "|".join(re.escape(each) for each in sorted(_SPECIAL.values(), key=len, reverse=True))
    back = {value: key for key, value in _SPECIAL.items()}
    return re.sub(pattern, lambda match: back[match[0]], source)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_escaped_text_is_inert_and_shows_what_was_written(text: str):
    source = escape_latex(text)
    # What our own escapes of typographic letters are made of.
    read(re.sub(r"---?|``|''|\^[23]|~", "", source) if set(text) & set("–—“”²³\u00a0") else source)
    plain = "".join(letter for letter in text if letter.isascii() and letter.isprintable() and letter != " ")
    back = re.sub(r"\[U\+[0-9A-F]{4,}\]", "", shown(source))
    assert plain == "".join(
        letter for letter in back if letter.isascii() and letter.isprintable() and letter != " "
    )


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_running_text_code_and_listings_are_balanced(text: str):
    for source in (inline_latex(text), breakable(text), verbatim(text)):
        rest = re.sub(r"\\[{}\\]", "", source)
        assert rest.count("{") == rest.count("}")
        assert not re.search(r"[%#&$]", re.sub(r"\\[%#&$_]", "", source))
    assert verbatim(text).count("\\par") >= len(text.splitlines())


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("50% of #1 & $x_i$", r"50\% of \#1 \& \$x\_i\$"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a--b ?` ,,", r"a-{}-{}b ?\textasciigrave{} ,{},"),
        ("[1] λ ±", r"{[}1{]} {[}U+03BB{]} \ensuremath{\pm}"),
    ],
)
def test_examples_of_escapes(text, source):
    assert escape_latex(text) == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("**b** *e* `a_b`", r"\textbf{b} \emph{e} \code{a\_\allowbreak{}b}"),
        ("[it](https://x.org/a_b?c=1%202#d)", r"\href{https://x.org/a\_b?c=1\%202\#d}{it}"),
        ("[it](https://x.org/}{)", r"\href{https://x.org/\%7D\%7B}{it}"),
    ],
)
def test_marks_of_running_text(text, source):
    assert inline_latex(text) == source


def test_lines_of_code_keep_their_spaces():
    lines = verbatim("if x:\n    a  = 1   \n\n")
    assert lines.split("\n") == [
        r"\mbox{}if x:\par",
        r"\mbox{}\ \ \ \ a \ = 1\par",
        r"\mbox{}\par",
    ]


@pytest.fixture
def document(tmp_path: Path) -> Document:
    from matplotlib.figure import Figure

    from cnnlab.report.figures.style import save_vector

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    blocks = (
        Paragraph("Trained **once**; 5 < 6 & $ % # [a link](https://example.org)."),
        Bullets(("[first]", "second {x}")),
        Table(("arm", "test"), (("`base_1`", "64.1%"), ("+ bn *", "70.0 ± 0.2%")), "Two arms & more."),
        Table(("a", "b"), (("1", "2"),)),
        Picture(save_vector(figure, tmp_path / "curve.svg"), "A curve, 100%.", "alt", 0.5),
        Code('cnnlab train "x" \\ <y>\n\n    #end\\end{codelines}', "As typed:"),
    )
    return Document("Report & more", "of *one* run", (Section("Results #1", blocks),), "the end_")


def test_a_source_and_its_figures_lie_in_one_folder(document, tmp_path):
    path = write_latex(document, tmp_path / "latex")
    source = path.read_text()
    assert sorted(file.name for file in path.parent.iterdir()) == ["figure-1.pdf", "report.tex"]
    assert (path.parent / "figure-1.pdf").read_bytes().startswith(b"%PDF-")
    assert r"\includegraphics[width=0.5\textwidth]{figure-1.pdf}" in source
    body = source[source.index(r"\begin{document}") :]
    begun, ended = re.findall(r"\\begin\{(\w+)\}", body), re.findall(r"\\end\{(\w+)\}", body)
    assert sorted(begun) == sorted(ended)
    assert begun.count("codelines") == 1
    assert r"\#end\textbackslash{}end\{codelines\}" in body
    rows = [line for line in body.splitlines() if line.endswith(r"\\") and "caption" not in line]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1, 1, 1]
    assert "<<" not in source
    assert "<%" not in source


def test_columns_of_numbers_stand_to_the_right_but_one_column_gives_way():
    assert column_types(Table(("a", "b"), (("x", "1"),))) == "Lr"
    assert column_types(Table(("a", "b"), (("2", "1"),))) == "Lr"
    assert column_types(Table(("a", "b"), (("2", "x"),))) == "rL"


def test_without_a_pdf_the_png_is_taken_and_a_missing_figure_is_named(tmp_path):
    picture = Picture(tmp_path / "curve.svg", "c", "a")
    document = Document("t", "s", (Section("x", (picture,)),))
    with pytest.raises(CnnlabError, match=r"cannot read the figure .*curve\.pdf"):
        write_latex(document, tmp_path / "latex")
    (tmp_path / "curve.png").write_bytes(b"\x89PNG")
    write_latex(document, tmp_path / "latex")
    assert (tmp_path / "latex" / "figure-1.png").exists()


def test_a_document_is_written_alike_twice(document):
    names = {block.file: "f.pdf" for block in document.sections[0].blocks if isinstance(block, Picture)}
    assert latex_source(document, names) == latex_source(document, names)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_sets_the_document(document, tmp_path):
    path = write_latex(document, tmp_path / "latex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (path.parent / "report.pdf").exists()
