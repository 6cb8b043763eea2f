"""Ctrl-C and SIGTERM that are not lost: libraries have places, imports among them, that swallow them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: cleans up and ends as Ctrl-C does, with an exit code of its own."""


_ENDING = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
_WATCHED = {signal.SIGINT: signal.default_int_handler, **_ENDING}
"""The signals that end a command, with the handlers in whose place ours may go."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt and SIGTERM its subclass Terminated.

    `stop_if_asked`, and the end, raise again what was swallowed. Changes nothing outside the main thread, and
    no signal that means something else already, or is ignored (`nohup`, jobs in the background).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = {number: known for number, known in _WATCHED.items() if signal.getsignal(number) is known}
    _asked.clear()
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
        stop_if_asked()
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        _asked.clear()


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt when Ctrl-C was pressed and something swallowed that.

    In the main thread only: it is the one that stops the others.
    """
    if _asked.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.set()
    raise Terminated(number) if number in _ENDING else KeyboardInterrupt
