"""A process's own memory while something runs: what it allocated, files that are mapped into it aside."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")
_SECONDS = 0.01


class Peak:
    """The most GB (10^9 bytes) seen."""

    def __init__(self) -> None:
        self.gb = 0.0

    def look(self) -> None:
        """Look once. Linux only; elsewhere the peak stays 0."""
        if _STATUS.exists():
            lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            self.gb = max(self.gb, int(lines["RssAnon"].split()[0]) * 1024 / 1e9)


@contextmanager
def watched() -> Iterator[Peak]:
    """Look every hundredth of a second while a `with` block runs."""
    peak, stopped = Peak(), threading.Event()

    def watch() -> None:
        while not stopped.wait(_SECONDS):
            peak.look()

    watcher = threading.Thread(target=watch, daemon=True)
    peak.look()
    watcher.start()
    try:
        yield peak
    finally:
        stopped.set()
        watcher.join()
        peak.look()
