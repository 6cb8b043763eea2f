"""Features of many items as one table, read block by block from memory-mapped files."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import torch

from xbench.scorers.base import Features


class FeatureTable:
    """The rows of several feature shards, end to end. Slicing reads only the shards that a slice touches."""

    def __init__(self, shards: Sequence[Features]) -> None:
        self._shards = list(shards)
        self._starts = [0, *accumulate(len(next(iter(shard.values()))) for shard in self._shards)]

    def __len__(self) -> int:
        return self._starts[-1]

    def rows(self, start: int, stop: int) -> Features:
        """Return rows [start, stop) of every tensor; a view when they lie in one shard, else a copy."""
        first = bisect_right(self._starts, start) - 1
        pieces: list[Features] = []
        for index in range(first, len(self._shards)):
            offset = self._starts[index]
            if offset >= stop:
                break
            shard = self._shards[index]
            pieces.append(
                {name: tensor[max(start - offset, 0) : stop - offset] for name, tensor in shard.items()}
            )
        if len(pieces) == 1:
            return pieces[0]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
