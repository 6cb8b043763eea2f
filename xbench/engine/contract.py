"""Whether a scorer keeps its contract while it runs: a score depends on its own text and video only.

A softmax over the gallery, a dual softmax or a top-k inside `similarity` gives numbers that look like any
others and change with the shape of a block. So a few dozen pairs, always the same ones, are scored again in a
small block, among other items and in another order, and must get the scores that the run gave them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.table import FeatureTable
from xbench.errors import ModelError
from xbench.scorers.base import Features, PairScorer, share_of, whereabouts

Ints = NDArray[np.int64]
Tile = tuple[int, int]
"""(row, column) of a tile."""

_ROUNDINGS = 4
"""Last places of the type of the scores that may be lost besides."""
_SIDE = 5
"""So many texts with so many videos of each of two tiles."""
_SEED = 20220715


@dataclass(frozen=True)
class Probe:
    """The texts [p] and videos [q] of a tile whose p x q pairs are scored again."""

    tile: Tile
    texts: Ints
    videos: Ints

    def of(self, scores: torch.Tensor, first: tuple[int, int]) -> dict[str, torch.Tensor]:
        """Return what the run gave the pairs. scores: those of the tile; first: its first text and video."""
        rows, columns = torch.from_numpy(self.texts - first[0]), torch.from_numpy(self.videos - first[1])
        finite = scores[torch.isfinite(scores)]
        span = finite.max() - finite.min() if len(finite) else torch.zeros(())
        return {"probed": scores[rows][:, columns].contiguous(), "span": span[None]}


@dataclass(frozen=True)
class Probed:
    """The scores float32 [p, q] of a probe as the run has them, and the range of all scores of its tile."""

    probe: Probe
    scores: torch.Tensor
    span: float

    @classmethod
    def read(cls, probe: Probe, result: Mapping[str, torch.Tensor]) -> "Probed":
        """Take it from the result of the unit that scored the tile."""
        return cls(probe, result["probed"], float(result["span"]))


def choose_probes(
    tiles: Sequence[Tile], extent: Callable[[Tile], tuple[slice, slice]], row: Ints, video: Ints
) -> dict[Tile, Probe]:
    """Choose pairs to be scored again, by a fixed seed, from the tiles that hold right pairs.

    extent: the texts and videos of a tile. row, video: int64 [T], each caption's text and video. Some of the
    texts have their own video among the chosen ones, some do not: a softmax, which its own video would
    saturate, shows in these. Where a tile has few items, half of them are taken, so that blocks differ.
    """
    random = np.random.default_rng(_SEED)
    picked = sorted({tiles[0], tiles[int(random.integers(len(tiles)))]})
    return {tile: _probe(tile, *extent(tile), (row, video), random) for tile in picked}


def _probe(
    tile: Tile, texts: slice, videos: slice, pairs: tuple[Ints, Ints], random: np.random.Generator
) -> Probe:
    row, video = pairs
    inside = np.flatnonzero(
        (row >= texts.start) & (row < texts.stop) & (video >= videos.start) & (video < videos.stop)
    )
    height, width = (max(1, min(_SIDE, (side.stop - side.start) // 2)) for side in (texts, videos))
    right = random.permutation(inside)[: min(height, width) // 2]
    some = _filled(np.unique(row[right]), height, np.arange(texts.start, texts.stop), random)
    own = np.unique(video[np.isin(row, some)])
    others = np.setdiff1d(np.arange(videos.start, videos.stop), own)
    candidates = others if len(others) >= width else np.arange(videos.start, videos.stop)
    return Probe(tile, some, _filled(np.unique(video[right]), width, candidates, random))


def _filled(first: Ints, count: int, candidates: Ints, random: np.random.Generator) -> Ints:
    """Add others, up to a number, in random order."""
    rest = random.permutation(np.setdiff1d(candidates, first))[: count - len(first)]
    return random.permutation(np.concatenate([first, rest])).astype(np.int64)


def require_contract(
    scorer: PairScorer, texts: FeatureTable, videos: FeatureTable, probed: Sequence[Probed]
) -> None:
    """Score the probed pairs once more, all in one small block, and compare.

    Raises ModelError with both scores of the pair that moved most, if it moved more than rounding explains.
    """
    rows = np.unique(np.concatenate([each.probe.texts for each in probed]))[::-1]
    columns = np.unique(np.concatenate([each.probe.videos for each in probed]))[::-1]
    block = scorer.similarity(_gathered(texts, rows), _gathered(videos, columns)).detach()
    again, step = block.to("cpu", torch.float32), torch.finfo(block.dtype).eps
    for each in probed:
        at_rows = [int(np.flatnonzero(rows == text)[0]) for text in each.probe.texts]
        at_columns = [int(np.flatnonzero(columns == video)[0]) for video in each.probe.videos]
        _compare(scorer, each, again[at_rows][:, at_columns], tuple(block.shape), step)


def _compare(
    scorer: PairScorer, probed: Probed, again: torch.Tensor, shape: tuple[int, ...], step: float
) -> None:
    moved = (again - probed.scores).abs()
    moved[torch.isnan(again) & torch.isnan(probed.scores)] = 0.0  # told elsewhere
    moved[again == probed.scores] = 0.0  # infinities too
    largest = float(torch.nan_to_num(probed.scores, 0.0, 0.0, 0.0).abs().max())
    allowed = share_of(scorer) * probed.span + _ROUNDINGS * step * largest
    worst = float(torch.nan_to_num(moved, torch.inf).max())
    if worst <= allowed:
        return
    text, video = divmod(int(torch.nan_to_num(moved, torch.inf).argmax()), again.shape[1])
    one, other = float(probed.scores[text, video]), float(again[text, video])
    raise ModelError(
        f"{whereabouts(scorer, 'similarity')} gives text {probed.probe.texts[text]} and video "
        f"{probed.probe.videos[video]} the score {one:.6g} in a block of the run and {other:.6g} in one of "
        f"{shape[0]} x {shape[1]}; rounding explains {allowed:.2g} of that. A score may depend on its own "
        "text and video only: no softmax over the gallery, no top-k, nothing taken from other items of a "
        "block; dual softmax is --post dsl. If it computes in less than float32, its settings must tell: "
        "precision."
    )


def _gathered(table: FeatureTable, which: Ints) -> Features:
    rows = [table.rows(int(item), int(item) + 1) for item in which]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
