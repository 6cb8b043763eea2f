"""The matrix as tiles that a scorer fills, and whether it keeps its contract while it does.

A softmax over the gallery, a dual softmax or a top-k inside `similarity` gives numbers that look like any
others and change with the shape of a block. So a few dozen pairs, always the same ones, are scored again in a
small block, among other items and in another order, and must get the scores that the run gave them.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.encoding import FeatureTable
from xbench.errors import ModelError
from xbench.scorers.base import Features, PairScorer, is_cross_encoder, share_of, whereabouts

Ints = NDArray[np.int64]
Tile = tuple[int, int]
"""(row, column) of a tile."""

_ROUNDINGS = 4
"""Last places of the type of the scores that may be lost besides."""
_TEXTS = 8
"""So many texts are scored again: X-CLIP with 64 words and frames, the costliest, scores them in one tile."""
_VIDEOS = 5
"""So many videos of each of two tiles."""
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
    most = _TEXTS // len(picked), _VIDEOS
    return {tile: _probe(tile, extent(tile), (row, video), most, random) for tile in picked}


def _probe(
    tile: Tile,
    extent: tuple[slice, slice],
    pairs: tuple[Ints, Ints],
    most: tuple[int, int],
    random: np.random.Generator,
) -> Probe:
    """Choose texts and videos of a tile, `most` of each."""
    (texts, videos), (row, video) = extent, pairs
    inside = np.flatnonzero(
        (row >= texts.start) & (row < texts.stop) & (video >= videos.start) & (video < videos.stop)
    )
    height, width = (
        max(1, min(limit, (side.stop - side.start) // 2)) for side, limit in zip(extent, most, strict=True)
    )
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
    span = max((each.span for each in probed), default=0.0)  # a tile at the edge may hold a single pair
    for each in probed:
        at_rows = [int(np.flatnonzero(rows == text)[0]) for text in each.probe.texts]
        at_columns = [int(np.flatnonzero(columns == video)[0]) for video in each.probe.videos]
        _compare(scorer, replace(each, span=span), again[at_rows][:, at_columns], tuple(block.shape), step)


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
        f"{shape[0]} x {shape[1]}; rounding explains {allowed:.2g} of that. Make it depend on its own "
        "text and video only: no softmax over the gallery, no top-k, nothing taken from other items of a "
        "block; dual softmax is --post dsl. If it computes in less than float32, its settings must tell: "
        "precision."
    )


def _gathered(table: FeatureTable, which: Ints) -> Features:
    rows = [table.rows(int(item), int(item) + 1) for item in which]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


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

    @property
    def costly(self) -> bool:
        """Whether a tile is worth keeping: see `is_cross_encoder`."""
        return is_cross_encoder(self._scorer)

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
