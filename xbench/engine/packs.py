"""Packs: files of many entries that only grow, and what an entry is.

sha256 of key and content (32 bytes), length of the head (8 bytes), the head as JSON (name, dtype and shape of
each tensor), the tensors' bytes in that order, and `info` as JSON to the end.
"""

import hashlib
import json
import math
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.scorers.base import Features
from xbench.storage import within

_HASH, _PREFIX, _ALIGNED = 32, 40, 8


@dataclass(frozen=True)
class Entry:
    """What the store holds for one key: tensors, features with a common first dimension, and JSON."""

    features: Features
    raw_info: bytes

    @property
    def info(self) -> Mapping[str, Any]:
        """The JSON, parsed at each call: a million of them as text take a tenth of the memory."""
        parsed: Mapping[str, Any] = json.loads(self.raw_info)
        return parsed


def write_entry(key: str, features: Features, info: Mapping[str, Any]) -> bytes:
    """Return an entry as bytes."""
    described = [
        [name, str(each.dtype)[len("torch.") :], list(each.shape)] for name, each in features.items()
    ]
    head = json.dumps(described).encode()
    head += b" " * (-len(head) % _ALIGNED)
    parts = [raw(tensor) for tensor in features.values()]
    content = b"".join([len(head).to_bytes(8, "little"), head, *parts, json.dumps(info).encode()])
    return _digest(key, content) + content


def read_entry(key: str, content: bytes, *, check: bool = True) -> Entry | None:
    """Return the entry of a key. With `check` it is None when the hash is not that of key and content."""
    if len(content) < _PREFIX or (check and content[:_HASH] != _digest(key, content[_HASH:])):
        return None
    start = _PREFIX + int.from_bytes(content[_HASH:_PREFIX], "little")
    writable = bytearray(content)  # torch warns of memory that is not
    tensors: Features = {}
    for name, dtype, shape, count, size in _layout(content[_PREFIX:start]):
        tensors[name] = (
            torch.frombuffer(writable, dtype=dtype, count=count, offset=start).reshape(shape)
            if count
            else torch.empty(shape, dtype=dtype)
        )
        start += size
    return Entry(tensors, content[start:])


def raw(tensor: torch.Tensor) -> bytes:
    """Return a tensor's values as they lie in memory, whatever its strides and device."""
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    return flat.copy_(tensor.detach().reshape(-1)).view(torch.uint8).numpy().tobytes()


@lru_cache(maxsize=64)
def _layout(head: bytes) -> list[tuple[str, torch.dtype, tuple[int, ...], int, int]]:
    """(name, dtype, shape, elements, bytes) of each tensor: the same for all items of a store."""
    found = []
    for name, kind, shape in json.loads(head):
        dtype: torch.dtype = getattr(torch, kind)
        count = math.prod(shape)
        found.append((name, dtype, tuple(shape), count, count * dtype.itemsize))
    return found


def _digest(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()


_KEY = 32
"""Bytes of a key."""
_LINE = np.dtype([("key", f"V{_KEY}"), ("start", "<u8"), ("length", "<u8")])
_PACK_BYTES = 1 << 30
"""From this size on, a writer begins another pack."""
_OPEN_FILES = 128
"""Of one kind; a process may usually open 1024."""


class Packs:
    """Everything that one folder's packs hold, by key: a sha256 in hex. The folder appears with an entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: list[str] = []
        self._number: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._at: dict[bytes, tuple[int, int, int]] = {}
        """Key -> (which of the names, start, length)."""
        self._writer: _Writer | None = None
        self._open: OrderedDict[str, int] = OrderedDict()
        self.refresh()

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._at

    def refresh(self) -> None:
        """Take up what other processes have written since."""
        for path in _indices(self.folder):
            with suppress(FileNotFoundError):  # cleared meanwhile
                done = self._taken.get(path.stem, 0)
                if path.stat().st_size // _LINE.itemsize > done:
                    with path.open("rb") as file:
                        file.seek(done * _LINE.itemsize)
                        content = file.read()
                    count = len(content) // _LINE.itemsize
                    self._take(path.stem, np.frombuffer(content, _LINE, count))

    def read(self, key: str) -> bytes | None:
        """Return an entry as it lies there; None when there is none, or less of it than there should be."""
        at = self._at.get(bytes.fromhex(key))
        if at is None:
            return None
        name, start, length = at
        try:
            entry = os.pread(self._file(self._names[name]), length, start)
        except OSError:
            return None
        return entry if len(entry) == length else None

    def forget(self, key: str) -> None:
        """Take an entry that is damaged for absent, until it is written again."""
        self._at.pop(bytes.fromhex(key), None)

    def append(self, key: str, entry: bytes) -> None:
        """Write an entry behind the others; it wins over an earlier one of that key. Raises OSError."""
        if self._writer is not None and self._writer.size >= _PACK_BYTES:
            self._close_writer()
        writer = self._writer or _Writer(self.folder)
        self._writer = None  # after an error nothing more is written behind what may be half there
        line = writer.append(key, entry)
        self._writer = writer
        self._take(writer.name, line)

    def close(self) -> None:
        """Flush to the disk what this process wrote, and close all files."""
        self._close_writer()
        while self._open:
            os.close(self._open.popitem()[1])

    def _take(self, name: str, lines: NDArray[np.void]) -> None:
        if name not in self._taken:
            self._taken[name], self._number[name] = 0, len(self._names)
            self._names.append(name)
            with suppress(OSError):  # what is open can be read when somebody clears the cache
                self._file(name)
        self._taken[name] += len(lines)
        keys, number = lines["key"].tobytes(), self._number[name]
        places = zip(lines["start"].tolist(), lines["length"].tolist(), strict=True)
        self._at.update(
            (keys[_KEY * row : _KEY * (row + 1)], (number, start, length))
            for row, (start, length) in enumerate(places)
        )

    def _file(self, name: str) -> int:
        if name not in self._open:
            if len(self._open) >= _OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
            self._open[name] = os.open(self.folder / f"{name}.pack", os.O_RDONLY)
        self._open.move_to_end(name)
        return self._open[name]

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def count_entries(folder: Path) -> int:
    """Return how many entries a folder's packs hold, without reading them; one written twice counts twice."""
    return sum(path.stat().st_size // _LINE.itemsize for path in _indices(folder))


class _Writer:
    """A new pack and its index, open for writing."""

    def __init__(self, folder: Path) -> None:
        # By time first: of two entries of a key the later is taken, the earlier may have been damaged.
        self.name, self.size = f"{time.time_ns():020}-{secrets.token_hex(8)}", 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        pack, index = folder / f"{self.name}.pack", folder / f"{self.name}.index"
        self._pack = within(folder, lambda: os.open(pack, flags, 0o666))
        self._index = within(folder, lambda: os.open(index, flags, 0o666))

    def append(self, key: str, entry: bytes) -> NDArray[np.void]:
        line = np.array([(bytes.fromhex(key), self.size, len(entry))], dtype=_LINE)
        _write(self._pack, entry)
        _write(self._index, line.tobytes())
        self.size += len(entry)
        return line

    def close(self) -> None:
        for descriptor in (self._pack, self._index):
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _indices(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".index")
    except (FileNotFoundError, NotADirectoryError):
        return []
