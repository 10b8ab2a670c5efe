"""A table's columns in LaTeX: as wide as their cells if that fits on the line, else columns of words are narrower.

The packages in which TeX measures columns and breaks tables over pages are not in a small TeX installation, so widths
are estimated here, in em of the table's font.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.report.document import Table, inline_tokens
from cnnlab.report.latex_text import inline_latex

_LINE = 47.0  # the text's width, 162 mm, a little reduced
_GAP = 1.08  # between two columns
_LETTER, _CODE_LETTER, _BOLD_LETTER = 0.49, 0.53, 0.58
_WORDS = (9.0, 6.0)  # the longest word of a header; the second limit if the table does not fit with the first
_LEAST = 5.5  # the narrowest column of words


@dataclass(frozen=True)
class Column:
    """A column's letter for `longtable`, and its header."""

    kind: str
    header: str


def columns(table: Table) -> list[Column]:
    """The columns of a table. Headers break before columns of words do."""
    cells = [max((_width(row[index]) for row in table.rows), default=0.0) for index in range(len(table.header))]
    heads = [_width(head, _BOLD_LETTER) for head in table.header]
    candidates = [heads, *([_narrowest(head, most) for head in table.header] for most in _WORDS)]
    tried = [[max(pair) for pair in zip(cells, each, strict=True)] for each in candidates]
    widths = next(filter(_fits, tried), tried[-1])
    limits = widths if _fits(widths) else _shared(widths, table.numeric)
    return [
        _column(table.header[index], table.numeric[index], heads[index] > widths[index], widths[index], limit)
        for index, limit in enumerate(limits)
    ]


def _column(head: str, is_number: bool, is_broken: bool, width: float, limit: float) -> Column:
    shown = rf"\textbf{{{inline_latex(head)}}}"
    if limit < width:
        return Column(rf"L{{{limit:.1f}em}}", shown)
    side = "r" if is_number else "l"
    return Column(side, rf"\head{{{side}}}{{{width:.1f}em}}{{{shown}}}" if is_broken else shown)


def _shared(widths: Sequence[float], numeric: Sequence[bool]) -> list[float]:
    """Widths that fit: the widest columns of words all get one smaller width, the others keep theirs."""
    words = sorted(width for width, is_number in zip(widths, numeric, strict=True) if not is_number)
    rest = _LINE - _GAP * (len(widths) - 1) - (sum(widths) - sum(words))
    limit = rest
    for place, width in enumerate(words):
        limit = rest / (len(words) - place)
        if width > limit:
            break
        rest -= width
    limit = max(limit, _LEAST)
    return [width if is_number else min(width, limit) for width, is_number in zip(widths, numeric, strict=True)]


def _fits(widths: Sequence[float]) -> bool:
    return sum(widths) + _GAP * (len(widths) - 1) <= _LINE


def _width(text: str, letter: float = _LETTER) -> float:
    """How wide running text is on one line, in em."""
    strong, total = 0, 0.0
    for token in inline_tokens(text):
        strong += {"strong_open": 1, "strong_close": -1}.get(token.type, 0)
        each = _CODE_LETTER if token.type == "code_inline" else _BOLD_LETTER if strong else letter
        total += each * len(token.content)
    return total


def _narrowest(head: str, most: float) -> float:
    """The least width of a header: that of its longest word (code also breaks at spaces), at most `most`."""
    contents = " ".join(token.content for token in inline_tokens(head))
    longest = max((_BOLD_LETTER * len(word) for word in contents.split()), default=0.0)
    return min(max(longest, _LEAST), most, _width(head, _BOLD_LETTER))
