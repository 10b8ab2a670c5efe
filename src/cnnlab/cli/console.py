"""The two consoles of the command line: results go to stdout, everything else to stderr. Tables and values as text."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cnnlab.core.tables import table_lines

if TYPE_CHECKING:
    from rich.table import Table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """As rich does, but not with the exit code of a bug: see `exits.py`."""
        with suppress(SystemExit):
            super().on_broken_pipe()
        raise SystemExit(0)


out = _Console(highlight=False, soft_wrap=True, emoji=False)
err = _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def is_terminal() -> bool:
    """Whether stdout is a terminal; plain lines are printed otherwise."""
    return sys.stdout is not None and sys.stdout.isatty()


def say(line: str) -> None:
    """One plain line on stdout, written at once so that a log can be followed."""
    out.print(line, markup=False)
    if sys.stdout is not None:
        out.file.flush()


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as aligned text, the same on a terminal and in a file; all columns but the first are numbers."""
    for line in table_lines(columns, rows, words=1):
        say(line)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A drawn table on a terminal, tab-separated lines elsewhere."""
    console = Console()
    if console.is_terminal:
        console.print(drawn_table(columns, rows))
        return
    for row in (columns, *rows):
        print("\t".join(row), flush=True)  # rich would turn tabs into spaces


def drawn_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> "Table":
    """A table for rich."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def value_text(name: str, value: Any) -> str:
    """A value as text, formatted by its name: accuracies in percent, seconds as time, dates to the second."""
    if not isinstance(value, int | float):
        return str(value)[:19].replace("T", " ") if name == "created" and value else plain(value)
    if "accuracy" in name.split("_"):
        return f"{value:.2%}"
    if "seconds" in name.split("_"):
        minutes, seconds = divmod(value, 60)
        return f"{int(minutes)}m {seconds:02.0f}s" if minutes else f"{seconds:.1f}s"
    return f"{value:.0f}" if name == "images_per_second" else plain(value)


def plain(value: Any) -> str:
    """A value of any kind as text; `-` for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
