"""A report says the same as HTML and as PDF, and nothing in its texts is obeyed as markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.core.errors import CnnlabError
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.html import write_html
from cnnlab.report.pdf import inline_typst, typst_string, write_pdf

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'


@pytest.fixture
def document(tmp_path: Path) -> Document:
    figure = tmp_path / "curve.svg"
    figure.write_text(SVG)
    blocks = (
        Paragraph("Trained with `lr = 0.1`, **once**; <b>5 < 6</b> & #panic() [a link](https://example.org)."),
        Bullets(("first", "second $x$ @label")),
        Table(("arm", "test"), (("base", "64.1%"), ("+ bn *", "70.0 ± 0.2%")), "Two arms."),
        Picture(figure, "A curve.", "a black rectangle", 0.5),
        Code('cnnlab train "x" \\ <y>\n#end'),
    )
    return Document("Report & more", "of *one* run", (Section("Results #1", blocks),), "the end")


class Text(HTMLParser):
    """The text of a page and the tags it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))


def test_html_holds_everything_and_loads_nothing(document: Document, tmp_path: Path):
    write_html(document, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    read = Text(page)
    for text in (
        "Report & more",
        "<b>5 < 6</b> & #panic()",
        "second $x$ @label",
        'cnnlab train "x" \\ <y>\n#end',
    ):
        assert text in read.text
    assert "b" not in {tag for tag, _ in read.tags}
    sources = [attributes["src"] for _, attributes in read.tags if "src" in attributes]
    assert [source[:26] for source in sources] == ["data:image/svg+xml;base64,"]
    assert not re.search(r"(src|href)=\"(?!data:|https://example\.org)", page)
    numbers = [attributes for tag, attributes in read.tags if tag == "td" and attributes.get("class") == "number"]
    assert len(numbers) == 2


def test_pdf_is_set_with_vector_figures(document: Document, tmp_path: Path):
    write_pdf(document, tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Subtype/Image" not in content.replace(b" ", b"")


def test_two_prints_of_a_report_are_equal(document: Document, tmp_path: Path):
    for name in ("a.pdf", "b.pdf"):
        write_pdf(document, tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30))
def test_any_text_is_a_string_of_typst_s(text: str):
    source = f"#metadata({typst_string(text)})<it>"
    assert typst.query(source.encode(), "<it>", field="value", one=True) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("text", ["#panic()", "] #panic() [", "a;b", "**x** `#panic()`; y", "*a*(b)", "$x$ // no"])
def test_nothing_in_a_text_is_obeyed(text: str):
    typst.compile(f"[{inline_typst(text)}]".encode())


def test_a_table_with_a_short_row_is_a_bug():
    with pytest.raises(ValueError, match="every row needs 2 cells"):
        Table(("a", "b"), (("1",),))


@pytest.mark.parametrize("write", [write_html, write_pdf])
def test_a_missing_figure_is_named(write, tmp_path: Path):
    missing = Document("t", "s", (Section("x", (Picture(tmp_path / "no.svg", "c", "a"),)),))
    with pytest.raises(CnnlabError, match=r"cannot read the figure .*no\.svg"):
        write(missing, tmp_path / "out")
    assert not (tmp_path / "out").exists()
