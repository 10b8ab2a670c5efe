"""Progress of measurements and downloads on stderr: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich import progress

from cnnlab import api
from cnnlab.cli.console import err

_LINE_EVERY = 30.0
_NAME = progress.TextColumn("{task.description}", markup=False)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to be called after each step: how many steps are done, of how many."""
    if not err.is_terminal:
        yield _lines(label)
        return
    columns = (
        _NAME,
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


@contextmanager
def download_bars() -> Iterator["api.data.Progress"]:
    """The display that `data.get` and `data.load` take as `progress`; nothing is shown before the first bytes."""
    columns = (
        _NAME,
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    bars = progress.Progress(*columns, console=err)
    tasks: dict[str, progress.TaskID] = {}

    def show(name: str, done: int, total: int | None) -> None:
        if not tasks and err.is_terminal:
            display.enter_context(bars)
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
            if not err.is_terminal:
                size = "" if total is None else f" ({total / 1e6:.1f} MB)"
                err.print(f"downloading {name}{size}", markup=False)
        bars.update(tasks[name], completed=done, total=total)

    with ExitStack() as display:
        yield show
