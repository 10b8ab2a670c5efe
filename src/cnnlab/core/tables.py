"""Tables as text: aligned for a terminal and a log, in Markdown for a page, as CSV for programs."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """The head, a rule of dashes, then a line per row. The first `words` columns are words, the rest numbers.

    >>> table_lines(("layer", "MACs"), [("conv 5x5 8", "600"), ("relu", "")], words=1)
    ['layer       MACs', '----------------', 'conv 5x5 8   600', 'relu']
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *rows)
    ]
    return [aligned[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *aligned[1:]]


def markdown_lines(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """The same in Markdown, padded so that it also reads well as it stands."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width if column < words else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (head, rule, *rows)
    ]
    return [f"| {' | '.join(cells)} |" for cells in padded]


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The head and the rows as CSV: numbers with all their digits, nothing for None."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
