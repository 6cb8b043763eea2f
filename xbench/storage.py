"""Files as everything in xbench keeps them: whole or not at all, known by their hash, in one cache folder."""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

from filelock import FileLock, Timeout

T = TypeVar("T")
_SCRATCH = "xbench-run"
_ATTEMPTS = 20
_STALE_SECONDS = 24 * 3600
_WRITER = re.compile(r"\.(?P<machine>[0-9a-f]{8})\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp$")


def cache_dir() -> Path:
    """Return $XBENCH_CACHE, else $XDG_CACHE_HOME/xbench, else ~/.cache/xbench; it need not exist."""
    if chosen := os.environ.get("XBENCH_CACHE"):
        return user_path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xbench"


def config_dir() -> Path:
    """Return $XDG_CONFIG_HOME/xbench, else ~/.config/xbench: what a user told xbench; it need not exist."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "xbench"


def user_path(text: str | Path) -> Path:
    """Return a path as a user wrote it, `~` for their home; a home that nobody has stays as it is written."""
    return Path(os.path.expanduser(text))


def within(folder: Path, write: Callable[[], T]) -> T:
    """Write into a folder that is made for it, again when somebody removes it meanwhile. Raises OSError."""
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return write()
    folder.mkdir(parents=True, exist_ok=True)
    return write()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it becomes `path` when the block ends well.

    The folder must be there. The file is flushed to the disk before it appears. After an exception nothing is
    left and what stood at `path` still stands.
    """
    if _is_special(path):
        raise OSError(errno.EINVAL, "This is a device or a pipe, not a place for a file", str(path))
    temporary = path.with_name(_temporary_name(f".{path.name}"))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is never seen half-written; what the dead left beside it goes. Raises OSError."""
    if _is_special(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # else a pipe that nobody reads would wait
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return
    tidy(path.parent)
    with appearing(path) as temporary:
        temporary.write_bytes(content)


def _is_special(path: Path) -> bool:
    """Whether something stands there whose place a file must not take: /dev/null, /dev/stdout, a pipe."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that goes with all it holds when the block ends.

    It stands in the system's temporary folder, or hidden in `parent`. What dead processes left goes now.
    """
    start = _SCRATCH if parent is None else f".{_SCRATCH}"
    parent = parent or Path(tempfile.gettempdir())
    tidy(parent, start)
    folder = parent / _temporary_name(start)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tidy(folder: Path, start: str = ".", *, deep: bool = False) -> None:
    """Remove the temporary files and folders in a folder whose writers are dead; `deep`: in those below too.

    Their names tell the writer. Those of another machine, or of an older xbench, go when they are a day old.
    What cannot be removed stays.
    """
    pattern = f"{start}*.tmp"
    for path in folder.rglob(pattern) if deep else folder.glob(pattern):
        with suppress(OSError):
            if _is_left_behind(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _temporary_name(start: str) -> str:
    """`start` is cut, because what stands at the limit of a file system would exceed it."""
    return f"{start[:40]}.{_machine()}.{os.getpid()}.{secrets.token_hex(4)}.tmp"


def _is_left_behind(path: Path) -> bool:
    writer = _WRITER.search(path.name)
    if writer is None or writer["machine"] != _machine():
        return time.time() - path.lstat().st_mtime > _STALE_SECONDS
    try:
        os.kill(int(writer["pid"]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


@cache
def _machine() -> str:
    """Where a process id means the same: the machine, and on it the container."""
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:
        container = ""
    return hashlib.sha256(f"{platform.node()} {container}".encode()).hexdigest()[:8]


def continued(path: Path) -> BinaryIO:
    """Open a file to append to, made when it is not there. Raises OSError.

    Never writes through what somebody else may have put at its place: a link, soft or hard, a pipe or a
    device is removed first.
    """
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) and not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            path.unlink()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "ab+")


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock that one process at a time can have. The system frees it even after kill -9.

    path: a file for it alone, which goes when the lock is released. Raises BlockingIOError when another holds
    it and `wait` is false, and OSError when the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = FileLock(path, blocking=wait)
    try:
        holder.acquire()
    except Timeout as error:
        raise BlockingIOError(f"{path} is held by another process") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for this file then makes a new one
        holder.release()
