"""The counts of units, added up to the counts of both directions, in any order of the units."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from xbench.engine.units import Block, Ints, Scoring, Tensors, in_columns
from xbench.errors import ModelError
from xbench.metrics.arrays import compare
from xbench.metrics.counts import Counts

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
