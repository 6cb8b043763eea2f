"""Files as everything in xbench keeps them: whole or not at all, known by their hash, in one cache folder."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


def cache_dir() -> Path:
    """Return $XBENCH_CACHE, else $XDG_CACHE_HOME/xbench, else ~/.cache/xbench; it need not exist."""
    if chosen := os.environ.get("XBENCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xbench"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it becomes `path` when the block ends well.

    The folder must be there. The file is flushed to the disk before it appears. After an exception nothing is
    left and what stood at `path` still stands. The temporary name carries the writer's process id.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is never seen half-written. Raises OSError."""
    with appearing(path) as temporary:
        temporary.write_bytes(content)


def lock(path: Path) -> FileLock:
    """Return a lock that one process at a time can hold; `path` is a file for it alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
