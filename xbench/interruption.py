"""Ctrl-C and SIGTERM that are not lost, and streams that may be full, closed or read by nobody."""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from xbench.errors import DataError
from xbench.shown import visible

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


class ReaderGone(BaseException):
    """The reader of stdout, `head` for example, has seen enough. No OSError: click would end with 1."""


class _Stream(io.TextIOBase):
    """A stream to which only what can be seen is written, in the characters that it has."""

    def __init__(self, inner: TextIO, on_fault: Callable[[OSError], None]) -> None:
        self.inner = inner
        self._on_fault = on_fault
        self._fault: OSError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.inner.encoding or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.inner.isatty()

    def fileno(self) -> int:
        return self.inner.fileno()

    def write(self, text: str) -> int:
        shown = visible(text, keep="\n\t").encode(self.encoding, self.errors).decode(self.encoding)
        if shown:
            self._try(lambda: self.inner.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(self.inner.flush)

    def _try(self, step: Callable[[], object]) -> None:
        """A stream that has failed once fails from then on: click asks streams what they are by writing."""
        if self._fault is None and not self.inner.closed:
            try:
                step()
            except OSError as error:
                self._fault = error
                _divert(self.inner)
        if self._fault is not None:
            self._on_fault(self._fault)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Within, nothing from a file reaches a terminal unescaped, and a stream that fails is told apart.

    stdout: raises ReaderGone where nobody reads it any more, DataError where it cannot be written. stderr:
    what cannot be written is left out; a run goes on. Streams that are closed become the null device.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(sys.stdout, _tell), _Stream(sys.stderr, lambda error: None)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def plain(stream: TextIO) -> TextIO:
    """Return the stream for those who move the cursor themselves and show no text that is not `visible`."""
    return stream.inner if isinstance(stream, _Stream) else stream


def _tell(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise ReaderGone from error
    raise DataError(
        f"stdout cannot be written: {error.strerror or error}. What was saved before is whole; free space or "
        "send stdout elsewhere, and ask again."
    ) from error


def _open_closed() -> None:
    """Whatever is opened next would else take the place of a closed one, and be written to as such."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (open to the end)


def _divert(stream: TextIO) -> None:
    """Send what the stream still holds nowhere, or Python would try again when it ends, and complain."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
