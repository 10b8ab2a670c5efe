"""The two consoles of the command line: what was asked for goes to stdout, the rest to stderr."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def is_terminal() -> bool:
    """Whether a person watches; plain lines are printed otherwise."""
    return sys.stdout.isatty()


def say(line: str) -> None:
    """One plain line on stdout, at once: whoever reads a log sees the training as it goes."""
    out.print(line, markup=False)
    out.file.flush()


def show_problems(problems: Sequence[str]) -> None:
    """Every problem on a line of its own, on stderr."""
    for problem in problems:
        err.print(f"[bold red]error:[/] {escape(problem)}")


def escape(text: str) -> str:
    """Text that rich prints as it is, brackets included."""
    from rich.markup import escape as rich_escape

    return rich_escape(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A drawn table in a terminal, tab-separated lines elsewhere."""
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(row), flush=True)  # rich would turn tabs into spaces
        return
    table = Table()
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def value_text(name: str, value: Any) -> str:
    """A value as people read it, by its name: accuracies in percent, seconds as time, dates to the second."""
    if not isinstance(value, int | float):
        return str(value)[:19].replace("T", " ") if name == "created" and value else plain(value)
    if "accuracy" in name.split("_"):
        return f"{value:.2%}"
    if "seconds" in name.split("_"):
        minutes, seconds = divmod(value, 60)
        return f"{int(minutes)}m {seconds:02.0f}s" if minutes else f"{seconds:.1f}s"
    return f"{value:.0f}" if name == "images_per_second" else plain(value)


def plain(value: Any) -> str:
    """A value of any kind; `-` where there is none."""
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)
