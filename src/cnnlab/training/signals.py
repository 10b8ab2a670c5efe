"""A request to stop, which the loop obeys between two steps: from a program in any thread, or from a signal.

The first Ctrl-C or SIGTERM saves and stops. A second Ctrl-C stops at once (KeyboardInterrupt), without saving.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Set once by `stop()`, from any thread or by a signal handler; true from then on.

    It needs no lock, as one assignment sets it. A handler must not wait for a lock: the thread that it interrupts may
    have that lock.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the training to save and stop, as this signal does."""
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
    """`request`, or a new one; SIGINT and SIGTERM set it inside, the previous handlers return afterwards.

    Python allows handlers in the main thread only: in another thread only the program can stop the training.
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
