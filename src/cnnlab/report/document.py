"""A report as a value: sections of paragraphs, tables, figures and code. `html.py` and `pdf.py` render it.

Running text is inline Markdown: `code`, *emphasis*, **strong** and [links](https://...). Everything else is a block of
its own, so all renderers show the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

# HTML and images in running text are shown as text.
MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header. Columns whose cells are all numbers are aligned to the right.

    Raises ValueError where a row has another length than the header.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.caption!r}: every row needs {len(self.header)} cells")

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column whether it contains numbers; empty cells and dashes do not count."""
        return tuple(
            all(_is_number(row[column]) for row in self.rows) and any(row[column] for row in self.rows)
            for column in range(len(self.header))
        )


@dataclass(frozen=True)
class Picture:
    """A figure from a file, SVG or PNG. `alt` describes it for those who cannot see it."""

    file: Path
    caption: str
    alt: str
    width: float = 1.0  # of the text


@dataclass(frozen=True)
class Code:
    """Commands, a program or its output, unchanged."""

    text: str
    caption: str = ""


Block = Paragraph | Bullets | Table | Picture | Code


@dataclass(frozen=True)
class Section:
    """A heading and its content."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report. `subtitle` and `footer` are one line each."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str = ""

    @property
    def pictures(self) -> list[Picture]:
        """Every picture, in reading order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


@dataclass(frozen=True)
class InlineWriter:
    """Writes running text in another language, by functions for plain text and for code.

    The keys of `marks` are names of Markdown's tokens (`strong_open`, ...); `link` gives the texts before and after it.
    """

    marks: Mapping[str, str]
    plain: Callable[[str], str]
    code: Callable[[str], str]
    link: Callable[[str], tuple[str, str]]

    def __call__(self, text: str) -> str:
        parts, link_end = [], ""
        for token in inline_tokens(text):
            match token.type:
                case "text":
                    parts.append(self.plain(token.content))
                case "code_inline":
                    parts.append(self.code(token.content))
                case "link_open":
                    begin, link_end = self.link(str(token.attrGet("href") or ""))
                    parts.append(begin)
                case "link_close":
                    parts.append(link_end)
                case "softbreak" | "hardbreak":
                    parts.append(" ")
                case mark:
                    parts.append(self.marks[mark])
        return "".join(parts)


def inline_tokens(text: str) -> Sequence[Token]:
    """The inline tokens of running text, in reading order."""
    return MARKDOWN.parseInline(text)[0].children or []


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, also with unit or deviation: 85.1%, 1,024, 0.3 ± 0.1, 12 ms, -3."""
    first = cell.strip().lstrip("+-−<≈")[:1]
    return cell.strip() in ("", "-", "–") or first.isdigit()
