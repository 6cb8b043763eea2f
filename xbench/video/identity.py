"""What a file is, told by its content and not by its name: which video, read once and remembered, or none."""

import errno
import json
import os
import stat
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
        began = time.time_ns()
        key = content_key(path)
        settled = began - max(state.mtime_ns, state.ctime_ns) > _TICK_NS
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


UNFINISHED = (".part", ".ytdl", ".aria2", ".crdownload")
"""What downloaders append to the name of a file, or of a companion, as long as they are not done."""
_HEAD = 4096
_MAGIC = {
    b"\x1f\x8b": "it is gzip data: unpack it",
    b"PK\x03\x04": "it is a zip archive: unpack it",
    b"7z\xbc\xaf\x27\x1c": "it is a 7z archive: unpack it",
    b"Rar!": "it is a rar archive: unpack it",
    b"\xfd7zXZ": "it is xz data: unpack it",
    b"BZh": "it is bzip2 data: unpack it",
    b"%PDF": "it is a PDF document",
    b"version https://git-lfs": "it is a Git LFS pointer, not the file: fetch it with `git lfs pull`",
}
_IN_PLACE = "as a server sends in place of a file: fetch it again"
_TEXTS = {
    ("<!doctype html", "<html", "<head"): f"it is an HTML page, {_IN_PLACE}",
    ("<?xml",): f"it is XML, {_IN_PLACE}",
    ("{", "["): f"it is JSON, {_IN_PLACE}",
}
_KINDS = {
    stat.S_ISDIR: "it is a folder, not a file",
    stat.S_ISFIFO: "it is a pipe, not a file",
    stat.S_ISSOCK: "it is a socket, not a file",
    stat.S_ISCHR: "it is a device, not a file",
    stat.S_ISBLK: "it is a device, not a file",
}


def unlike_a_file(path: Path) -> str | None:
    """Say what stands at a path that is no regular file with content, None for one that is."""
    try:
        status = path.stat()
    except OSError as error:
        return _broken_link(path, error)
    for is_kind, text in _KINDS.items():
        if is_kind(status.st_mode):
            return text
    return None if status.st_size else "it has zero bytes"


def unfinished(path: Path) -> str | None:
    """Say that a downloader left a companion beside a file, None if there is none."""
    for ending in UNFINISHED:
        companion = path.with_name(path.name + ending)
        if os.path.lexists(companion):
            return (
                f"its download is not finished, for {companion.name} lies beside it: finish the download, or "
                "remove that companion if the video is whole"
            )
    return None


def unlike_a_video(path: Path) -> str | None:
    """Say what the first bytes of a file are, None where they tell nothing. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, text in _MAGIC.items():
        if head.startswith(magic):
            return text
    words = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n").lower()
    for starts, text in _TEXTS.items():
        if words.startswith(starts):
            return text
    if not any(head):
        return "it begins with zeros, as a download that was made room for and never came: fetch it again"
    return None


def _broken_link(path: Path, error: OSError) -> str | None:
    if error.errno == errno.ELOOP:
        return "it is a link that leads to itself"
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"it is a link to {os.readlink(path)}, which is not there"
    return None
