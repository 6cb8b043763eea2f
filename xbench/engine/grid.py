"""The tiles of the U x V matrix, scored on demand."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from xbench.engine.contract import Probed, require_contract
from xbench.engine.table import FeatureTable
from xbench.errors import ModelError
from xbench.scorers.base import Features, PairScorer

TakeTile = Callable[[int, int], torch.Tensor | None]
"""Returns a tile that was scored and kept, by (row, column), or None."""


class Grid:
    """U texts x V videos in tiles of the scorer's block shape; those at the edges are smaller."""

    def __init__(self, scorer: PairScorer, texts: FeatureTable, videos: FeatureTable, memory: int) -> None:
        """memory: bytes of features that may be held, so that texts are read for one column, not for all."""
        self.height, self.width = scorer.block
        self._scorer, self._texts, self._videos = scorer, texts, videos
        self.rows = -(-len(texts) // self.height)
        self.columns = -(-len(videos) // self.width)
        self._memory, self._held = memory, 0
        self._blocks: OrderedDict[tuple[str, int], tuple[Features, int]] = OrderedDict()

    def column_slice(self, column: int) -> slice:
        """The videos of a column of tiles."""
        return slice(column * self.width, min((column + 1) * self.width, len(self._videos)))

    def row_slice(self, start: int, stop: int) -> slice:
        """The texts of some rows of tiles, [start, stop)."""
        return slice(start * self.height, min(stop * self.height, len(self._texts)))

    def tile(self, row: int, column: int) -> torch.Tensor:
        """Score one tile: float32 on the CPU. Raises ModelError when the scorer returns another shape."""
        return self._scored(row, column).to("cpu", torch.float32, copy=True)

    def tiles(self, start: int, stop: int, column: int, take: TakeTile) -> torch.Tensor:
        """Score rows of tiles [start, stop) of a column into one block: float32 [u, v] on the CPU."""
        texts, videos = self.row_slice(start, stop), self.column_slice(column)
        block = torch.empty(texts.stop - texts.start, videos.stop - videos.start)
        landing: Callable[[], object] = _landed
        for row in range(start, stop):
            tile = take(row, column)
            inside = self.row_slice(row, row + 1)
            part = block[inside.start - texts.start : inside.stop - texts.start]
            next_landing = land(self._scored(row, column) if tile is None else tile, part)
            landing()
            landing = next_landing
        landing()
        return block

    def require_contract(self, probed: Sequence[Probed]) -> None:
        """Raise ModelError when pairs that were scored get other scores in a small block."""
        require_contract(self._scorer, self._texts, self._videos, probed)

    def _scored(self, row: int, column: int) -> torch.Tensor:
        """Score one tile where the scorer does; a GPU may still be computing it."""
        rows, columns = self.row_slice(row, row + 1), self.column_slice(column)
        texts, videos = self._block("text", rows, self._texts), self._block("video", columns, self._videos)
        scores = self._scorer.similarity(texts, videos)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if tuple(scores.shape) != shape:
            raise ModelError(
                f"similarity of {self._scorer.name} returned shape {tuple(scores.shape)} for {shape[0]} texts"
                f" and {shape[1]} videos: it must be {shape}"
            )
        return scores.detach()

    def _block(self, side: str, rows: slice, table: FeatureTable) -> Features:
        """Read a block of features, or take it from those that are held; the last used are."""
        name = side, rows.start
        if name in self._blocks:
            self._blocks.move_to_end(name)
            return self._blocks[name][0]
        features = table.rows(rows.start, rows.stop)
        size = sum(tensor.numel() * tensor.element_size() for tensor in features.values())
        self._blocks[name] = features, size
        self._held += size
        while self._held > self._memory and len(self._blocks) > 2:  # one of each side is needed anyhow
            _, (_, freed) = self._blocks.popitem(last=False)
            self._held -= freed
        return features


def land(scores: torch.Tensor, part: torch.Tensor) -> Callable[[], object]:
    """Copy scores to a part of a block on the CPU; return what waits until they are there.

    From a GPU they are on their way at once, behind what computes them and before anything else, and whoever
    waits only after asking for the next tile lets the GPU work meanwhile.
    """
    if scores.device.type != "cuda":
        part.copy_(scores)
        return _landed
    with torch.cuda.device(scores.device):
        host = torch.empty(scores.shape, pin_memory=True)
        host.copy_(scores.float(), non_blocking=True)
        arrived: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()

    def wait() -> None:
        arrived.synchronize()
        part.copy_(host)

    return wait


def _landed() -> None:
    """Nothing to wait for."""
