"""What a person sees of a download: bars on a terminal, a line a file elsewhere, nothing when nothing comes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from cnnlab.api.data import Progress


@contextmanager
def download_bars() -> Iterator["Progress"]:
    """The display that `data.get` and `data.load` take as `progress`; drawn from the first bytes on."""
    console = _console()
    show_file = _on_terminal if console.is_terminal else _in_log
    with ExitStack() as display:
        yield show_file(console, display)


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _on_terminal(console: "Console", display: ExitStack) -> "Progress":
    """A bar for every file, with speed and time left, in `display` until that is closed."""
    bars = _bars(console)
    tasks: dict[str, TaskID] = {}

    def show(name: str, done: int, total: int | None) -> None:
        if not tasks:
            display.enter_context(bars)
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done, total=total)

    return show


def _bars(console: "Console") -> "Bars":
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
    )


def _in_log(console: "Console", display: ExitStack) -> "Progress":
    """One line when a file begins."""
    begun: set[str] = set()

    def show(name: str, done: int, total: int | None) -> None:
        if name not in begun:
            begun.add(name)
            size = "" if total is None else f" ({total / 1e6:.1f} MB)"
            console.print(f"downloading {name}{size}", markup=False, emoji=False, highlight=False)

    return show
