"""Features of many items as one table, read block by block from where they lie."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch

from xbench.engine.entries import raw
from xbench.engine.store import Lodged
from xbench.scorers.base import Features


class FeatureTable:
    """The rows of several feature shards, end to end. Slicing reads only the shards that a slice touches."""

    def __init__(self, shards: Iterable[Features | Lodged]) -> None:
        self._shards: Sequence[Features | Lodged] = list(shards)
        self._starts = [0, *accumulate(map(_rows, self._shards))]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the shards that lie in a store."""
        return tuple(shard.key for shard in self._shards if isinstance(shard, Lodged))

    def digest(self) -> str:
        """Return a hash of what the table holds: of keys where it lies in the store, else of values."""
        digest = hashlib.sha256()
        for shard in self._shards:
            if isinstance(shard, Lodged):
                digest.update(shard.key.encode())
            else:
                for name, tensor in sorted(shard.items()):
                    digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                    digest.update(raw(tensor))
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> Features:
        """Return rows [start, stop) of every tensor; a view when they lie in one shard, else a copy."""
        first = bisect_right(self._starts, start) - 1
        pieces: list[Features] = []
        for index in range(first, len(self._shards)):
            offset = self._starts[index]
            if offset >= stop:
                break
            shard = self._shards[index]
            features = shard.load() if isinstance(shard, Lodged) else shard
            pieces.append(
                {name: tensor[max(start - offset, 0) : stop - offset] for name, tensor in features.items()}
            )
        if len(pieces) == 1:
            return pieces[0]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def _rows(shard: Features | Lodged) -> int:
    return 1 if isinstance(shard, Lodged) else len(next(iter(shard.values())))
