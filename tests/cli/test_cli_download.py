"""The bars of a download: seen on a terminal while bytes arrive, plain lines elsewhere, nothing without bytes."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from cnnlab.cli import progress
from cnnlab.cli.progress import download_bars


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], io.StringIO]:
    """Where the bars are drawn: a terminal or not."""

    def make(terminal: bool) -> io.StringIO:
        drawn = io.StringIO()
        console = Console(file=drawn, force_terminal=terminal, width=100, highlight=False, emoji=False)
        monkeypatch.setattr(progress, "err", console)
        return drawn

    return make


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_drawn_without_a_download(screen: Callable[[bool], io.StringIO], terminal: bool) -> None:
    drawn = screen(terminal)
    with download_bars():
        pass
    assert drawn.getvalue() == ""


def test_a_terminal_shows_a_bar_and_gets_its_cursor_back(screen: Callable[[bool], io.StringIO]) -> None:
    drawn = screen(True)

    def interrupted() -> None:
        with download_bars() as report:
            report("cifar:cat:.tar.gz", 85_000_000, 170_000_000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "cifar:cat:.tar.gz" in drawn.getvalue()
    assert "85.0/170.0 MB" in drawn.getvalue()
    assert drawn.getvalue().count("\x1b[?25h") == drawn.getvalue().count("\x1b[?25l") == 1


def test_a_log_gets_one_line_a_file(screen: Callable[[bool], io.StringIO]) -> None:
    drawn = screen(False)
    with download_bars() as report:
        report("a.gz", 1, 170_000_000)
        report("a.gz", 2, 170_000_000)
        report("b.gz", 1, None)
    assert drawn.getvalue() == "downloading a.gz (170.0 MB)\ndownloading b.gz\n"
