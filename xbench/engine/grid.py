"""The tiles of the U x V matrix, scored on demand."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from xbench.engine.table import FeatureTable
from xbench.errors import ModelError
from xbench.scorers.base import Features, PairScorer

Kept = dict[tuple[int, int], torch.Tensor]
"""Tiles that were scored already, by (row, column)."""


class Grid:
    """U texts x V videos in tiles of the scorer's block shape; those at the edges are smaller."""

    def __init__(
        self, scorer: PairScorer, texts: FeatureTable, videos: FeatureTable, on_pairs: Callable[[int], None]
    ) -> None:
        """on_pairs is told how many pairs each tile had."""
        self.height, self.width = scorer.block
        self._scorer, self._texts, self._videos, self._on_pairs = scorer, texts, videos, on_pairs
        self.rows = -(-len(texts) // self.height)
        self.columns = -(-len(videos) // self.width)

    def column_slice(self, column: int) -> slice:
        """The videos of a column of tiles."""
        return slice(column * self.width, min((column + 1) * self.width, len(self._videos)))

    def row_slice(self, row: int) -> slice:
        """The texts of a row of tiles."""
        return slice(row * self.height, min((row + 1) * self.height, len(self._texts)))

    def text_block(self, row: int) -> Features:
        """The features of a row's texts."""
        rows = self.row_slice(row)
        return self._texts.rows(rows.start, rows.stop)

    def video_block(self, column: int) -> Features:
        """The features of a column's videos."""
        columns = self.column_slice(column)
        return self._videos.rows(columns.start, columns.stop)

    def tile(self, row: int, column: int, texts: Features, videos: Features) -> torch.Tensor:
        """Score one tile: float32 on the CPU. Raises ModelError when the scorer returns another shape."""
        return self._scored(row, column, texts, videos).to("cpu", torch.float32, copy=True)

    def _scored(self, row: int, column: int, texts: Features, videos: Features) -> torch.Tensor:
        """Score one tile where the scorer does; a GPU may still be computing it."""
        rows, columns = self.row_slice(row), self.column_slice(column)
        scores = self._scorer.similarity(texts, videos)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if tuple(scores.shape) != shape:
            raise ModelError(
                f"similarity of {self._scorer.name} returned shape {tuple(scores.shape)} for {shape[0]} texts"
                f" and {shape[1]} videos: it must be {shape}"
            )
        self._on_pairs(scores.numel())
        return scores.detach()

    def strips(self, kept: Kept, memory: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield each column with its scores [U, v], in order, taking the tiles that are kept from there.

        Every pass over the texts scores as many columns as `memory` bytes hold, at least one, so that texts
        are read from disk as seldom as possible.
        """
        staged = self._columns_at_once(memory)
        for start in range(0, self.columns, staged):
            columns = range(start, min(start + staged, self.columns))
            yield from zip(columns, self._score(columns, kept), strict=True)

    def _score(self, columns: range, kept: Kept) -> list[torch.Tensor]:
        blocks = {column: self.video_block(column) for column in columns}
        sizes = {
            column: self.column_slice(column).stop - self.column_slice(column).start for column in columns
        }
        strips = {column: torch.empty(len(self._texts), sizes[column]) for column in columns}
        landing: Callable[[], object] = _landed
        for row in range(self.rows):
            texts = self.text_block(row)
            for column in columns:
                tile = kept.pop((row, column), None)
                scores = self._scored(row, column, texts, blocks[column]) if tile is None else tile
                next_landing = land(scores, strips[column][self.row_slice(row)])
                landing()
                landing = next_landing
        landing()
        return list(strips.values())

    def _columns_at_once(self, memory: int) -> int:
        features = sum(tensor.numel() * tensor.element_size() for tensor in self.video_block(0).values())
        return max(1, memory // (4 * len(self._texts) * self.width + features))


def land(scores: torch.Tensor, strip: torch.Tensor) -> Callable[[], object]:
    """Copy scores to a strip on the CPU; return what waits until they are there.

    From a GPU they are on their way at once, behind what computes them and before anything else, and whoever
    waits only after asking for the next tile lets the GPU work meanwhile.
    """
    if scores.device.type != "cuda":
        strip.copy_(scores)
        return _landed
    with torch.cuda.device(scores.device):
        host = torch.empty(scores.shape, pin_memory=True)
        host.copy_(scores.float(), non_blocking=True)
        arrived: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()

    def wait() -> None:
        arrived.synchronize()
        strip.copy_(host)

    return wait


def _landed() -> None:
    """Nothing to wait for."""
