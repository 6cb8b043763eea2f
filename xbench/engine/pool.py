"""Where the units of a scoring are carried out: in this process, which is the way of every plain run."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.grid import Tile
from xbench.engine.ledger import Ledger
from xbench.engine.units import Block, Scoring, Tensors


class Pool(Protocol):
    """Carries out units, each at least once, and gives back their results in any order."""

    def right(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, Tensors]]:
        """Score the right pairs of tiles."""
        ...

    def count(
        self, blocks: Iterable[Block], right: NDArray[np.float32], *, scores: bool
    ) -> Iterator[tuple[Block, Tensors]]:
        """Count blocks; with `scores` the results have those too, float32 [n, v] by that name."""
        ...


class Bench:
    """What a process needs to carry out the units of a scoring."""

    def __init__(self, scoring: Scoring, ledger: Ledger) -> None:
        """ledger: where tiles of right pairs are kept until they are counted."""
        self.scoring, self._ledger = scoring, ledger

    def right(self, tile: Tile) -> Tensors:
        """Score the right pairs of a tile, and keep it when it is among those to be kept."""
        result, scores = self.scoring.right(tile)
        if tile in self.scoring.kept:
            self._ledger.put("tile", tile, {"tile": scores})
        return result

    def count(self, block: Block, right: NDArray[np.float32], *, scores: bool) -> Tensors:
        """Count a block."""
        found = self.scoring.scores(block, self._tile)
        result = self.scoring.count(block, found, right)
        return result | {"scores": torch.from_numpy(found)} if scores else result

    def _tile(self, row: int, column: int) -> torch.Tensor | None:
        """Return a tile that was kept; of a cross encoder every tile is, and what is not there is scored."""
        if not self.scoring.costly:
            return self._ledger.get_tile(row, column) if (row, column) in self.scoring.kept else None
        found = self._ledger.get_tile(row, column)
        if found is None:
            found = self.scoring.grid.tile(row, column)
            self._ledger.put("tile", (row, column), {"tile": found})
        return found


class InProcess:
    """Carries out one unit after the other, here."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def right(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, Tensors]]:
        """Score the right pairs of tiles, in order."""
        return ((tile, self._bench.right(tile)) for tile in tiles)

    def count(
        self, blocks: Iterable[Block], right: NDArray[np.float32], *, scores: bool
    ) -> Iterator[tuple[Block, Tensors]]:
        """Count blocks, in order."""
        return ((block, self._bench.count(block, right, scores=scores)) for block in blocks)
