"""Tables as text: aligned for terminals and logs, as Markdown for pages, as CSV for programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """The head, a line of dashes, then one line per row. The first `words` columns are left-aligned, the others right.

    >>> table_lines(("layer", "MACs"), [("conv 5x5 8", "600"), ("relu", "")], words=1)
    ['layer       MACs', '----------------', 'conv 5x5 8   600', 'relu']
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    aligned = ["  ".join(cells).rstrip() for cells in _aligned((head, *rows), widths, words)]
    return [aligned[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *aligned[1:]]


def markdown_lines(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """The same table in Markdown, padded so that its source is readable too."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width if column < words else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [f"| {' | '.join(cells)} |" for cells in _aligned((head, rule, *rows), widths, words)]


def _aligned(lines: Iterable[Sequence[str]], widths: Sequence[int], words: int) -> Iterator[list[str]]:
    for line in lines:
        sides = [str.ljust] * words + [str.rjust] * (len(widths) - words)
        yield [side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)]


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The head and the rows as CSV: numbers with all digits, an empty cell for None."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
