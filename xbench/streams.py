"""stdin, stdout and stderr as a command finds them: full, closed, read by nobody, or of another encoding."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from xbench.errors import DataError
from xbench.shown import visible


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
