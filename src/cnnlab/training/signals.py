"""A request to stop, acted on by the loop between two steps: made by a program from any thread, or by a signal.

The first Ctrl-C or SIGTERM saves and stops. A second Ctrl-C stops at once (KeyboardInterrupt), without saving.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Set once by `stop()`, from any thread or by a signal handler; true from then on.

    It holds no lock, and needs none: one assignment sets it, and a handler that waited for a lock of the thread it
    interrupts would wait for ever.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the training to save and stop, as the signal would."""
        self.signal = signal.Signals(number)

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + signal number, the shell's convention: 130 for Ctrl-C, 143 for SIGTERM."""
        assert self.signal is not None
        return 128 + self.signal


@contextmanager
def stop_on_signals(request: StopRequest | None = None) -> Iterator[StopRequest]:
    """`request`, or a new one, set by SIGINT and SIGTERM inside; the previous handlers are put back afterwards.

    Outside the main thread Python allows no handlers: there only the program can stop what runs.
    """
    request = StopRequest() if request is None else request
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.stop(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
