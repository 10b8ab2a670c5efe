"""A count that goes on for a while: a bar with the time left on a terminal, now and then a plain line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnnlab.cli.console import err

_LINE_EVERY = 30.0


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what is to be told after each step: how many are done, of how many. Shown on stderr."""
    if not err.is_terminal:
        yield _lines(label)
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=err, transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _lines(label: str) -> Callable[[int, int], None]:
    begun = last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LINE_EVERY and done < total:
            last = now
            left = (now - begun) / done * (total - done)
            err.print(f"{label}: {done} of {total}, about {left:.0f} s left", markup=False)

    return show
