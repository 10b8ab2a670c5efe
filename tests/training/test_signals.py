"""The first signal asks, the second Ctrl-C insists, and the old handlers come back; a program asks from any thread."""

import os
import signal
import threading
import time

import pytest

from cnnlab.training.signals import StopRequest, stop_on_signals


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_only_sets_the_request(number: signal.Signals, exit_code: int) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as request:
        assert not request
        os.kill(os.getpid(), number)
        assert request
        assert request.exit_code == exit_code
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_handlers_stay_and_a_program_can_stop() -> None:
    before, request, began = signal.getsignal(signal.SIGTERM), StopRequest(), threading.Event()
    found: list[object] = []

    def train() -> None:
        with stop_on_signals(request) as inside:
            found.append(inside)
            found.append(signal.getsignal(signal.SIGTERM))
            began.set()
            for _ in range(500):
                if inside:
                    found.append("stopped")
                    return
                time.sleep(0.01)

    thread = threading.Thread(target=train)
    thread.start()
    assert began.wait(10)
    request.stop()
    thread.join()
    assert found == [request, before, "stopped"]
    assert request.exit_code == 143


def test_a_signal_sets_the_request_that_the_program_holds() -> None:
    request = StopRequest()
    with stop_on_signals(request):
        os.kill(os.getpid(), signal.SIGINT)
    assert request
    assert request.exit_code == 130
