"""Ctrl-C ends a run even where a library swallowed the first KeyboardInterrupt."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from xbench.interruption import interruptible, stop_if_asked
from xbench.progress import stage


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # the handler runs between two of these
        pass


def after_a_swallowed_ctrl_c(go_on: Callable[[Callable[[int], None]], None]) -> None:
    with interruptible(), stage("encoding", 3, "videos") as advance:
        advance(1)
        with suppress(KeyboardInterrupt):
            press_ctrl_c()
        go_on(advance)


def test_an_interrupt_that_was_swallowed_is_raised_by_the_next_step_of_a_stage() -> None:
    done: list[str] = []

    def go_on(advance: Callable[[int], None]) -> None:
        done.append("before")
        advance(1)
        done.append("after")

    with pytest.raises(KeyboardInterrupt):
        after_a_swallowed_ctrl_c(go_on)
    assert done == ["before"]


def test_what_was_pressed_before_is_forgotten_and_the_handler_as_it_was() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    stop_if_asked()
    with interruptible():
        stop_if_asked()


def swallowed_to_the_end() -> str:
    with interruptible(), suppress(KeyboardInterrupt):
        press_ctrl_c()
    return "the work is done"


def test_what_was_swallowed_last_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt):
        swallowed_to_the_end()


def test_a_handler_of_somebody_else_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            press_ctrl_c()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        stop_if_asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_s_step_raises_nothing_and_the_main_thread_stops() -> None:
    ended: list[str] = []

    def go_on(advance: Callable[[int], None]) -> None:
        def work() -> None:
            advance(1)
            ended.append("well")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    with pytest.raises(KeyboardInterrupt):
        after_a_swallowed_ctrl_c(go_on)
    assert ended == ["well"]


def test_threads_change_no_handler() -> None:
    seen = []

    def look() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
