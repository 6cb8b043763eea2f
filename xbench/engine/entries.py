"""An entry of a pack: the tensors of one item or unit, the JSON that travels with them, and their hash.

sha256 of key and content (32 bytes), length of the head (8 bytes), the head as JSON (name, dtype and shape of
each tensor), the tensors' bytes in that order, and `info` as JSON to the end.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from xbench.scorers.base import Features

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
