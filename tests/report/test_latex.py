"""LaTeX sources: whatever a text holds, nothing of it is obeyed, and braces and environments are balanced.

No TeX is at hand in most places, so a small reader of TeX's own rules stands in for it; where `pdflatex` is installed
(by `.ci/run`, for one), it sets documents as well, and its log must not complain.
"""

import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.core.errors import CnnlabError
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.latex import latex_source, write_latex
from cnnlab.report.latex_tables import columns
from cnnlab.report.latex_text import SPECIAL, breakable, escape_latex, inline_latex, verbatim

KNOWN = {
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"),
    *(
        "textquotedbl",
        "textasciigrave",
        "textquotesingle",
        "ensuremath",
        "allowbreak",
        "textbf",
        "emph",
        "code",
    ),
    *("href", "mbox", "par"),
    *("textendash", "textemdash", "textquoteleft", "textquoteright", "textquotedblleft", "textquotedblright"),
    *("textellipsis", "textonesuperior", "texttwosuperior", "textthreesuperior", "textperiodcentered"),
    *("texttimes", "textdiv", "textleftarrow", "textrightarrow", "textuparrow", "textdownarrow"),
}
MADE_OF_SIGNS = "\u00a0\u00ad"  # what their escapes are made of is itself special
OBEYED = "\\{}$&#%_^~<>|\"`'-[]−±×,.;!?"
TEXTS = st.text(st.sampled_from(OBEYED + " abcdefß0123456789λ\n*()") | st.characters(), max_size=40)


def read(source: str) -> None:
    """Fails where a command is none of ours, a brace has no partner, or a letter that TeX obeys stands bare."""
    assert set(re.findall(r"\\([A-Za-z]+)", source)) <= KNOWN
    rest = re.sub(r"\\([A-Za-z]+|[{}$&#%_])", " ", source)
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
    pattern = "|".join(re.escape(each) for each in sorted(SPECIAL.values(), key=len, reverse=True))
    back = {value: key for key, value in SPECIAL.items()}
    return re.sub(pattern, lambda match: back[match[0]], source)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_escaped_text_is_inert_and_shows_what_was_written(text: str):
    source = escape_latex(text)
    without_mathematics = re.sub(r"\\ensuremath\{(\\[A-Za-z]+|\\sqrt\{\}|[\^_]?.)\}", " ", source)
    read(re.sub(r"[~]|\\-", " ", without_mathematics) if set(text) & set(MADE_OF_SIGNS) else without_mathematics)
    composed = unicodedata.normalize("NFC", text)
    plain = "".join(letter for letter in composed if letter.isascii() and letter.isprintable() and letter != " ")
    back = re.sub(r"\[U\+[0-9A-F]{4,}\]", "", shown(source))
    assert plain == "".join(letter for letter in back if letter.isascii() and letter.isprintable() and letter != " ")


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_running_text_code_and_listings_are_balanced(text: str):
    for source in (inline_latex(text), breakable(text, 8), verbatim(text)):
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
        ("[1] λ₂ ± Ω", r"{[}1{]} \ensuremath{\lambda}\ensuremath{_2} \ensuremath{\pm} \ensuremath{\Omega}"),
        (
            "ς ω Ξ Α 東 ħ",
            r"\ensuremath{\varsigma} \ensuremath{\omega} \ensuremath{\Xi} \ensuremath{A} {[}U+6771{]} {[}U+0127{]}",
        ),
        ("e\u0301", "é"),
    ],
)
def test_examples_of_escapes(text, source):
    assert escape_latex(text) == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("**b** *e* `a_b`", r"\textbf{b} \emph{e} \code{a\_b}"),
        ("`a_b_c_d_e_f_g_h_i`", "\\code{" + r"\_\allowbreak{}".join("abcdefghi") + "}"),
        ("x" * 25, "x" * 10 + r"\allowbreak{}" + "x" * 10 + r"\allowbreak{}" + "x" * 5),
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
    rows = [line for line in body.splitlines() if line.rstrip("*").endswith(r"\\") and "caption" not in line]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1, 1, 1]
    assert "<<" not in source
    assert "<%" not in source


def kinds(*rows: tuple[str, ...]) -> list[str]:
    return [column.kind for column in columns(Table(rows[0], rows[1:]))]


def test_columns_are_as_wide_as_their_cells_where_these_fit():
    assert kinds(("a", "b"), ("x", "1"), ("y z", "2.5%")) == ["l", "r"]
    words = "word " * 10
    assert kinds(("a", "b"), (words, "1")) == ["l", "r"]


def test_columns_of_words_share_what_numbers_leave():
    words = "word " * 40
    long, number, short = kinds(("a", "n", "c"), (words, "1", "short"))
    assert (number, short) == ("r", "l")
    width = float(re.fullmatch(r"L\{([\d.]+)em\}", long)[1])
    assert 35 < width < 45
    assert kinds(("a", "n", "c"), (words, "1", words))[0] == kinds(("a", "n", "c"), (words, "1", words))[2]


def test_headers_break_before_columns_of_words_do():
    header = tuple("training minutes of a run" for _ in range(4))
    made = columns(Table(("arm", *header), (("x" * 10, "1", "2", "3", "4"),)))
    assert [column.kind for column in made] == ["l", "r", "r", "r", "r"]
    assert made[0].header == r"\textbf{arm}"
    assert all(column.header.startswith(r"\head{r}{") for column in made[1:])


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


needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def set_by_pdflatex(document: Document, folder: Path) -> str:
    """What pdfLaTeX writes into its log while it sets a document; fails where it stops."""
    path = write_latex(document, folder)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (path.parent / "report.pdf").exists()
    return (path.parent / "report.log").read_text(errors="replace")


@needs_tex
def test_pdflatex_sets_the_document(document, tmp_path):
    log = set_by_pdflatex(document, tmp_path / "latex")
    assert not re.findall(r"Overfull|Missing character|LaTeX Warning: (?!Label|There were)", log)


@needs_tex
def test_pdflatex_has_every_letter_that_is_not_replaced(tmp_path):
    letters = [*map(chr, range(0x20, 0x180)), *SPECIAL, "東"]
    paragraphs = [Paragraph(f"a{letter} `a{letter}` **a{letter}**") for letter in letters if letter not in "\n`"]
    log = set_by_pdflatex(Document("t", "s", (Section("x", tuple(paragraphs)),)), tmp_path)
    assert "Missing character" not in log


@needs_tex
def test_tables_and_figures_stay_on_their_pages(document, tmp_path):
    (picture,) = (block for block in document.sections[0].blocks if isinstance(block, Picture))
    table = Table(("arm", "test"), tuple((f"arm {n}", "70.0%") for n in range(12)), "Twelve arms.")
    long = Table(("arm", "test"), tuple((f"arm {n}", "70.0%") for n in range(99)), "Many arms.")
    tall = replace(picture, width=1.0)
    sections = tuple(Section(f"Part {n}", (tall, table, tall, long)) for n in range(3))
    log = set_by_pdflatex(replace(document, sections=sections), tmp_path / "latex")
    assert "Overfull" not in log


@needs_tex
def test_nothing_reaches_over_the_margin(tmp_path):
    name = "`a_very_long_arm_name_without_any_space_in_it_that_goes_on_and_on/and/on,and=on_0123456789`"
    names = [name, "`base_1 100% {x} #7 ~y ^z \\\\input{q} $a$`", "`λ ≥ 0.1 × π ± λ²… → 東`"]
    numbers = ("71.11 ± 0.96%", "+12.97% to +64.09%", "<0.001")
    header = ("arm", "against", "best val accuracy", "95% interval", "p", f"{name} near zero")
    rows = tuple((one, other, *numbers, "0.5%") for one, other in zip(names, names[::-1], strict=True))
    address = "https://example.org/a_very/long/address?with=some&arguments=1#anchor" * 2
    blocks = (
        Table(header, rows, f"Differences to {name}: {address}"),
        Paragraph(f"{name} against {name}, source: {address}"),
        Table(("layer", *[f"`weight_decay=0.000{n}`" for n in range(6)]), (("x", *["0.22%"] * 6),), "Weights."),
        Bullets((f"**1** {name} > {name} by 0.05",)),
        Code("cnnlab train --set " + "x" * 200 + "\n" + "word " * 60),
    )
    log = set_by_pdflatex(Document("A study", "of names", (Section("Results", blocks),)), tmp_path)
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert not [points for points in wide if points > 1]
