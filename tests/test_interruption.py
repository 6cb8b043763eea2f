"""Ctrl-C ends a run even where a library swallowed the first KeyboardInterrupt."""

import os
import signal
import threading

import pytest

from xbench.interruption import interruptible, stop_if_asked
from xbench.progress import stage


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # the handler runs between two of these
        pass


def test_an_interrupt_that_was_swallowed_is_raised_by_the_next_step_of_a_stage() -> None:
    with interruptible(), stage("encoding", 3, "videos") as advance:
        advance(1)
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            advance(1)


def test_what_was_pressed_before_is_forgotten_and_the_handler_as_it_was() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    stop_if_asked()
    with interruptible():
        stop_if_asked()


def test_a_handler_of_somebody_else_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            press_ctrl_c()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        stop_if_asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_change_no_handler() -> None:
    seen = []

    def look() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
