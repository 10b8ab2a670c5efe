"""Tables as plain aligned text: for a terminal, a log and a page alike."""

from collections.abc import Sequence


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
