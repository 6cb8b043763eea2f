"""Which video a file holds, told by its content and not by its name or place; read once and remembered."""

import json
import time
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from xbench.storage import file_sha256, lock, write_atomically

_TICK_NS = 20_000_000
"""A file that changes twice within a clock tick of the file system keeps its time stamp."""


class FileState(NamedTuple):
    """What changes whenever a file does, without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def file_state(path: Path) -> FileState:
    """Return the state of the file that a path leads to. Raises OSError."""
    status = path.stat()
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def content_key(path: Path) -> str:
    """Return `<size in bytes>-<sha256 of the whole file>`. Raises OSError when it cannot be read."""
    return f"{path.stat().st_size}-{file_sha256(path)}"


class Identities:
    """Content keys of files, remembered by path and state, so that a file is read again only once it changed.

    `memory` is a JSON file that several processes may share; None: nothing is remembered after this run. Safe
    to ask from several threads. `read` counts the files that had to be read.
    """

    def __init__(self, memory: Path | None) -> None:
        self.read = 0
        self._memory = memory
        self._known = {} if memory is None else _load(memory)
        self._fresh: dict[str, list[str | int]] = {}
        self._lock = Lock()

    def of(self, path: Path) -> tuple[str, FileState]:
        """Return the content key of a file and the state that it was read in. Raises OSError."""
        name, state = str(path.absolute()), file_state(path)
        match self._known.get(name):
            case [str(key), *told] if told == list(state):
                return key, state
        key = content_key(path)
        settled = time.time_ns() - max(state.mtime_ns, state.ctime_ns) > _TICK_NS
        with self._lock:
            self.read += 1
            if settled and file_state(path) == state:
                self._fresh[name] = [key, *state]
        return key, state

    def save(self) -> None:
        """Add what was read to the memory. What cannot be written is read again next time."""
        if self._memory is None or not self._fresh:
            return
        try:
            with lock(self._memory.with_suffix(".lock")):
                write_atomically(self._memory, json.dumps(_load(self._memory) | self._fresh).encode())
        except OSError:
            return


def _load(memory: Path) -> dict[str, list[str | int]]:
    """A memory that is not there, or not whole, knows nothing."""
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
