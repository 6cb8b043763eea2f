"""The units of work of a scoring: pure functions of features, the plan of a scoring, and indices.

A unit gives the same result wherever and whenever it is carried out. First come the tiles that hold right
pairs: the right item's score must be from the same tile as its rivals'. Then blocks of whole tiles are
counted against the right scores, and these counts add up as integers, in any order.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.grid import Grid, Probe, Tile, choose_probes
from xbench.errors import ModelError
from xbench.metrics.counts import Counts, compare, count_nonfinite, is_nan, row_sums
from xbench.metrics.ranking import CaptionGroups
from xbench.terms import V2TRule

Ints = NDArray[np.int64]
Tensors = dict[str, torch.Tensor]
"""The result of a unit: named tensors."""
Block = tuple[int, int, int]
"""(first row of tiles, row behind the last, column)."""

_UNITS = 128
"""About as many units are made of the tiles: few enough to cost nothing, enough for many workers."""


@dataclass(frozen=True)
class Queries:
    """The captions of a split as the engine sees them: T captions, of which U texts are distinct."""

    row: Ints
    """int64 [T]: the row of each caption's text among the U distinct ones."""
    video: Ints
    """int64 [T]: the index of each caption's video."""


class Scoring:
    """Every caption against every video: how that is cut into units, and the units themselves."""

    def __init__(self, grid: Grid, queries: Queries, v2t: V2TRule, memory: int) -> None:
        """memory: bytes of tiles that may be kept, and of scores in one block. It changes no number."""
        self.grid, self.queries, self.v2t, self._memory = grid, queries, v2t, memory
        self.groups = CaptionGroups(queries.video)
        self._order = np.argsort(queries.row, kind="stable")
        self._sorted = queries.row[self._order]

    @cached_property
    def right_tiles(self) -> list[Tile]:
        """The tiles that hold right pairs, column by column."""
        columns, rows = self.queries.video // self.grid.width, self.queries.row // self.grid.height
        return [(row, column) for column, row in np.unique(np.stack([columns, rows], 1), axis=0).tolist()]

    @cached_property
    def probes(self) -> dict[Tile, Probe]:
        """The pairs whose scores are held against those of another block, by the tile that they lie in."""
        return choose_probes(self.right_tiles, self._extent, self.queries.row, self.queries.video)

    def _extent(self, tile: Tile) -> tuple[slice, slice]:
        return self.grid.row_slice(tile[0], tile[0] + 1), self.grid.column_slice(tile[1])

    @property
    def costly(self) -> bool:
        """Whether every tile is kept: a pair of a cross encoder is not scored twice, and not after a kill."""
        return self.grid.costly

    @cached_property
    def kept(self) -> frozenset[Tile]:
        """Those of them that are kept until they are counted; the others are scored a second time."""
        if self.costly:
            return frozenset(self.right_tiles)
        return frozenset(self.right_tiles[: self._memory // (4 * self.grid.height * self.grid.width)])

    @cached_property
    def blocks(self) -> list[Block]:
        """All tiles, in blocks of neighbours in a column."""
        rows, columns = self.grid.rows, self.grid.columns
        fit = self._memory // (4 * self.grid.height * self.grid.width)
        height = max(1, min(rows, rows * columns // _UNITS, fit))
        return [
            (start, min(start + height, rows), column)
            for column in range(columns)
            for start in range(0, rows, height)
        ]

    def right(self, tile: Tile) -> tuple[Tensors, torch.Tensor]:
        """Score a tile; return the captions whose right pair it holds with their scores, and the tile.

        Of a tile with a probe, the result has the scores of that, too.
        """
        row, column = tile
        captions = self.captions(row, row + 1)
        captions = captions[self.queries.video[captions] // self.grid.width == column]
        scores = self.grid.tile(row, column)
        inside = self.queries.row[captions] % self.grid.height, self.queries.video[captions] % self.grid.width
        result = {"captions": torch.from_numpy(captions), "scores": scores[inside]}
        if tile in self.probes:
            result |= self.probes[tile].of(scores, (row * self.grid.height, column * self.grid.width))
        return result, scores

    def captions(self, start: int, stop: int) -> Ints:
        """The captions whose text is in rows of tiles [start, stop), by text."""
        texts = self.grid.row_slice(start, stop)
        first, last = np.searchsorted(self._sorted, [texts.start, texts.stop])
        return self._order[first:last]

    def scores(self, block: Block, take: Callable[[int, int], torch.Tensor | None]) -> NDArray[np.float32]:
        """Score a block: float32 [n, v], its captions against its videos."""
        start, stop, column = block
        scores = self.grid.tiles(start, stop, column, take).numpy()
        rows = self.queries.row[self.captions(start, stop)] - start * self.grid.height
        return scores if np.array_equal(rows, np.arange(len(scores))) else scores[rows]

    def count(self, block: Block, scores: NDArray[np.float32], right: NDArray[np.float32]) -> Tensors:
        """Count a block. right: float32 [T], the score of each caption's right pair."""
        captions, videos = self.captions(*block[:2]), self.grid.column_slice(block[2])
        t2v, finite = self._t2v(scores, right[captions], self.queries.video[captions] - videos.start)
        asked = self.asked(block[2])
        columns = scores if len(asked) == scores.shape[1] else scores[:, asked - videos.start]
        limits = self.right_of_videos(right)[self.groups.positions(asked)]
        if self.best_only:
            v2t = self._best(columns, captions, limits)
        else:
            better, tied, _ = compare(columns.T, limits)
            v2t = {"v2t.better": better, "v2t.tied": tied}
            if not finite:
                v2t["v2t.nan"] = row_sums(is_nan(columns).T)
        if not finite:
            v2t["v2t.nonfinite"] = np.array([count_nonfinite(columns)])
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in (t2v | v2t).items()}

    def asked(self, column: int) -> Ints:
        """The videos of a column that have a caption."""
        videos = self.grid.column_slice(column)
        first, last = np.searchsorted(self.groups.videos, [videos.start, videos.stop])
        return self.groups.videos[first:last]

    @property
    def best_only(self) -> bool:
        """Whether v2t ranks videos by the best of their captions, of which some have several."""
        return self.v2t == "group-max" and not self.groups.single

    def right_of_videos(self, right: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score [G] that each video with captions has with the best of its own."""
        if self.best_only:
            return np.asarray(self.groups.best(right[:, None])[:, 0])
        return np.asarray(self.groups.largest(right))

    def straddling(self, captions: Ints) -> tuple[CaptionGroups, NDArray[np.bool_]]:
        """The videos to which captions of a block belong, and which of them have others elsewhere, too."""
        own = CaptionGroups(self.queries.video[captions])
        return own, own.sizes != self.groups.sizes[self.groups.positions(own.videos)]

    def _t2v(
        self, scores: NDArray[np.float32], right: NDArray[np.float32], own: Ints
    ) -> tuple[dict[str, NDArray[np.generic]], bool]:
        better, tied, finite = compare(scores, right)
        here = np.flatnonzero((own >= 0) & (own < scores.shape[1]))
        at_own, wanted = scores[here, own[here]], right[here]
        tied[here] -= at_own == wanted
        unequal = ~((at_own == wanted) | (np.isnan(at_own) & np.isnan(wanted)))
        found = {"better": better, "tied": tied, "unequal": np.array([unequal.sum()])}
        if not finite:
            nan = row_sums(is_nan(scores))
            nan[here] -= np.isnan(at_own)
            found |= {"nan": nan, "nonfinite": np.array([count_nonfinite(scores)])}
        return found, finite

    def _best(
        self, columns: NDArray[np.float32], captions: Ints, limits: NDArray[np.float32]
    ) -> dict[str, NDArray[np.generic]]:
        """Count videos by their best caption; of those that straddle blocks, only tell the best so far."""
        groups, straddling = self.straddling(captions)
        best = groups.best(columns)
        better, tied, _ = compare(best[~straddling].T, limits)
        return {"v2t.better": better, "v2t.tied": tied, "v2t.best": best[straddling]}


def in_columns(blocks: list[Block]) -> Iterator[list[Block]]:
    """Yield the blocks of each column."""
    for column in sorted({block[2] for block in blocks}):
        yield [block for block in blocks if block[2] == column]


_PARTS = ("better", "tied", "nan")


class Sum:
    """Adds up the counts of blocks. Memory: O(T + V), and what straddles the blocks of unfinished columns."""

    def __init__(self, scoring: Scoring, right: NDArray[np.float32]) -> None:
        """right: float32 [T], the score of each caption's right pair."""
        self._scoring, self._right = scoring, right
        self._t2v = {part: np.zeros(len(right), np.int64) for part in _PARTS}
        self._v2t = {part: np.zeros(len(scoring.groups.videos), np.int64) for part in _PARTS}
        self._nonfinite = {"": 0, "v2t.": 0}
        self._unequal = 0
        self._left = {blocks[0][2]: len(blocks) for blocks in in_columns(scoring.blocks)}
        self._best: dict[int, dict[int, NDArray[np.float32]]] = defaultdict(dict)

    def add(self, block: Block, counts: Tensors) -> None:
        """Add what `Scoring.count` gave for a block, each block once."""
        found = {name: tensor.numpy() for name, tensor in counts.items()}
        captions, column = self._scoring.captions(*block[:2]), block[2]
        groups = self._groups(column)
        for part in _PARTS:
            if part in found:
                self._t2v[part][captions] += found[part]
            if f"v2t.{part}" in found:
                self._v2t[part][groups] += found[f"v2t.{part}"]
        for side in self._nonfinite:
            self._nonfinite[side] += int(found.get(f"{side}nonfinite", np.zeros(1))[0])
        self._unequal += int(found["unequal"][0])
        self._left[column] -= 1
        if "v2t.best" in found:
            self._add_best(block, captions, found["v2t.best"])

    def counts(self) -> tuple[Counts, Counts]:
        """Return the (t2v, v2t) counts. Raises ModelError when a right item had two scores."""
        if self._unequal:
            raise ModelError(
                f"{self._unequal} pairs of a caption and its video were scored twice, with two outcomes: the"
                " scorer's similarity must depend on the features alone (no dropout, no random numbers)"
            )
        t2v, v2t = self._t2v, self._without_own()
        right_of_videos = self._scoring.right_of_videos(self._right)
        return (
            Counts(t2v["better"], t2v["tied"], self._right, t2v["nan"], self._nonfinite[""]),
            Counts(v2t["better"], v2t["tied"], right_of_videos, v2t["nan"], self._nonfinite["v2t."]),
        )

    def _groups(self, column: int) -> slice:
        videos, groups = self._scoring.grid.column_slice(column), self._scoring.groups.videos
        first, last = np.searchsorted(groups, [videos.start, videos.stop])
        return slice(int(first), int(last))

    def _add_best(self, block: Block, captions: Ints, best: NDArray[np.float32]) -> None:
        """Join the best of videos that straddle blocks; count them once their column is complete."""
        groups, straddling = self._scoring.straddling(captions)
        known = self._best[block[2]]
        for video, row in zip(groups.videos[straddling].tolist(), best, strict=True):
            known[video] = np.maximum(known[video], row) if video in known else row
        if self._left[block[2]] or not known:
            return
        own = self._groups(block[2])
        limits = self._scoring.right_of_videos(self._right)[own]
        better, tied, _ = compare(np.stack(list(self._best.pop(block[2]).values())).T, limits)
        self._v2t["better"][own] += better
        self._v2t["tied"][own] += tied

    def _without_own(self) -> dict[str, Ints]:
        """The v2t counts without the right items, which were counted among their rivals."""
        scoring, right = self._scoring, self._right
        if scoring.best_only:
            own_tied, own_nan = np.ones(len(scoring.groups.videos), np.int64), np.zeros(1, np.int64)
        else:
            positions = scoring.groups.positions(scoring.queries.video)
            best, videos = scoring.right_of_videos(right)[positions], len(scoring.groups.videos)
            own_tied = np.bincount(positions[right == best], minlength=videos)
            own_nan = np.bincount(positions[np.isnan(right)], minlength=videos)
        return {
            "better": self._v2t["better"],
            "tied": self._v2t["tied"] - own_tied,
            "nan": self._v2t["nan"] - own_nan,
        }
