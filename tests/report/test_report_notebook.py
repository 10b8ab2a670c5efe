"""A report as a notebook: valid, says what the other forms say, and nothing in its texts is obeyed as markup."""

import base64
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cnnlab.core.errors import CnnlabError
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.notebook import inline_markdown, write_notebook

JUPYTER = MarkdownIt("commonmark", {"html": True}).enable("table")


class Text(HTMLParser):
    """What a reader sees, and the tags it is set with."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.text, self.tags = "", []
        self.feed(JUPYTER.render(markdown))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)


def written(tmp_path: Path, *blocks: object):
    document = Document("Report & more", "of *one* run", (Section("Results #1", blocks),), "the end")
    write_notebook(document, tmp_path / "report.ipynb")
    notebook = nbformat.read(tmp_path / "report.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook.cells


def test_texts_become_markdown_and_commands_cells(tmp_path: Path) -> None:
    cells = written(
        tmp_path,
        Paragraph("Trained with `lr = 0.1`, **once**, [here](https://example.org)."),
        Bullets(("first", "second")),
        Code("$ cnnlab train simplenn \\\n    --seed 1\n\n# then\ncnnlab runs ls"),
        Code("[optim]\nlr = 0.1", "The recipe."),
        Code("import cnnlab\n\ncnnlab.train", "A snippet:"),
        Code("import of nothing", ""),
    )
    kinds = ["markdown", "markdown", "code", "markdown", "code", "markdown", "markdown"]
    assert [cell.cell_type for cell in cells] == kinds
    assert cells[1].source == (
        "## Results \\#1\n\nTrained with `lr = 0.1`, **once**, [here](https://example.org).\n\n- first\n- second"
    )
    assert cells[2].source == "!cnnlab train simplenn --seed 1\n\n# then\n!cnnlab runs ls"
    assert cells[3].source == "```\n[optim]\nlr = 0.1\n```\n\n*The recipe.*\n\n*A snippet:*"
    assert cells[4].source == "import cnnlab\n\ncnnlab.train"
    assert cells[5].source == "```\nimport of nothing\n```"


def test_tables(tmp_path: Path) -> None:
    table = Table(("arm", "test"), (("`a | b`", "64.1%"), ("c | d", "70.0 ± 0.2%")), "Two arms.")
    (_, cell, _) = written(tmp_path, table)
    read = Text(cell.source)
    assert read.tags.count("td") == 4
    for shown in ("a | b", "c | d", "64.1%", "Two arms."):
        assert shown in read.text
    assert "|:---|---:|" in cell.source


@pytest.mark.parametrize("suffixes", [[".svg"], [".svg", ".png"]])
def test_figures_are_inside(tmp_path: Path, suffixes: list[str]) -> None:
    for suffix in suffixes:
        (tmp_path / f"curve{suffix}").write_bytes(suffix.encode())
    cells = written(tmp_path, Picture(tmp_path / "curve.svg", "A curve.", "a [black] line", 0.5))
    ((name, bundle),) = cells[2].attachments.items()
    ((media_type, content),) = bundle.items()
    assert media_type == {".svg": "image/svg+xml", ".png": "image/png"}[suffixes[-1]]
    assert base64.b64decode(content) == suffixes[-1].encode()
    assert f"![a \\[black\\] line](attachment:{name})" in cells[2].source


def test_equal_reports_are_equal_files(tmp_path: Path) -> None:
    written(tmp_path, Paragraph("x"))
    before = (tmp_path / "report.ipynb").read_bytes()
    written(tmp_path, Paragraph("x"))
    assert (tmp_path / "report.ipynb").read_bytes() == before


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map("a {} 1. z".format))
def test_plain_text_is_shown_letter_by_letter(text: str) -> None:
    literal = "".join(f"\\{letter}" if letter in "\\`*_[]<>&!" else letter for letter in text)  # for the report
    shown = inline_markdown(literal)
    assert "$" not in shown  # Jupyter would set mathematics
    read = Text(shown)
    assert read.text.strip() == text
    assert read.tags == ["p"]


@pytest.mark.parametrize("text", ["1. one", "- one", "+ one", "2) two", "# no heading", "> quote", "=== rule"])
def test_a_paragraph_stays_one(text: str) -> None:
    read = Text(inline_markdown(text))
    assert (read.tags, read.text.strip()) == (["p"], text)


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CnnlabError, match=r"cannot read the figure .*none\.svg"):
        written(tmp_path, Picture(tmp_path / "none.svg", "c", "a"))
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(CnnlabError, match=r'pip install "cnnlab\[notebook\]"'):
        written(tmp_path, Paragraph("x"))
