"""The block engine: any scorer, any size, bounded memory, ranks counted while the matrix streams by.

The T x V matrix is cut into tiles of the scorer's own block shape, a function of the model and the device
only, never of memory, threads or data. Equal captions share one row, so their ties are exact. Counting needs
one column strip [T, v] at a time; a memory budget says how many strips are scored in one pass over the texts.
The tiles that hold right pairs are scored first and kept until their strip is counted, because the right
item's score must come from the same tile as its rivals'.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.grid import Grid, Kept
from xbench.engine.table import FeatureTable
from xbench.errors import DataError, explain
from xbench.metrics.counts import Counts
from xbench.metrics.groups import CaptionGroups
from xbench.metrics.ranking import Tally, v2t_strip_counts
from xbench.scorers.base import PairScorer
from xbench.storage import appearing, tidy
from xbench.terms import V2TRule

Ints = NDArray[np.int64]
OnStrip = Callable[[slice, torch.Tensor], None]
"""Gets a slice of the videos and the float32 [T, v] scores of all captions against them."""


@dataclass(frozen=True)
class Queries:
    """The captions of a split as the engine sees them: T captions, of which U texts are distinct."""

    row: Ints
    """int64 [T]: the row of each caption's text among the U distinct ones."""
    video: Ints
    """int64 [T]: the index of each caption's video."""


def distinct(texts: Sequence[str], owners: Ints) -> tuple[list[str], Ints]:
    """Return the U distinct texts, by the first video that has them, and each of the T texts' row among them.

    owners: int64 [T], the videos. Whatever the order of the captions, right pairs then lie near the diagonal,
    so that few tiles hold any.
    """
    rows: dict[str, int] = {}
    for caption in np.argsort(owners, kind="stable"):
        rows.setdefault(texts[caption], len(rows))
    return list(rows), np.array([rows[text] for text in texts], dtype=np.int64)


def rank(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    v2t: V2TRule,
    *,
    memory: int = 1 << 30,
    on_strip: OnStrip = lambda columns, strip: None,
    on_pairs: Callable[[int], None] = lambda count: None,
) -> tuple[Counts, Counts]:
    """Score every caption against every video and return the (t2v, v2t) counts.

    texts: features of the U distinct texts; videos: of the V videos. memory: bytes that the scores and video
    features of one pass may take; one strip is the least. It changes no number. on_strip gets each column
    slice with its float32 [T, v] scores, in order. on_pairs is told how many of the U x V pairs are done.
    """
    grid = Grid(scorer, texts, videos, on_pairs)
    kept, right = _right_tiles(grid, queries)
    t2v, v2t_parts, groups = Tally(right), [], CaptionGroups(queries.video)
    rows = torch.from_numpy(queries.row)
    in_order = np.array_equal(queries.row, np.arange(len(texts)))
    for column, whole in grid.strips(kept, memory):
        columns, strip = grid.column_slice(column), whole if in_order else whole[rows]
        inside = (queries.video >= columns.start) & (queries.video < columns.stop)
        own = torch.from_numpy(np.where(inside, queries.video - columns.start, -1))
        t2v.add(strip, own)
        v2t_parts.append(v2t_strip_counts(strip, np.arange(columns.start, columns.stop), groups, v2t))
        on_strip(columns, strip)
    return t2v.counts(), Counts.concatenate(v2t_parts)


@contextmanager
def save_matrix(path: Path | None, captions: int, videos: int) -> Iterator[OnStrip]:
    """Yield an `on_strip` that writes the T x V float32 matrix to an .npy file that appears only when whole.

    Without a path nothing is written. Raises DataError when the file cannot be written.
    """
    if path is None:
        yield lambda columns, strip: None
        return
    tidy(path.parent)
    with appearing(path) as temporary:
        matrix = _allocate(temporary, captions, videos)

        def on_strip(columns: slice, strip: torch.Tensor) -> None:
            matrix[:, columns] = strip.numpy()

        yield on_strip
        matrix.flush()


def _allocate(path: Path, captions: int, videos: int) -> "np.memmap[tuple[int, ...], np.dtype[np.float32]]":
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(captions, videos))
        if hasattr(os, "posix_fallocate"):  # a full disk must be an error here, not a bus error at some write
            with path.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise DataError(
            f"The similarity matrix ({captions} x {videos} float32) cannot be saved in {path.parent}: "
            f"{explain(error)}"
        ) from error
    return matrix


def _right_tiles(grid: Grid, queries: Queries) -> tuple[Kept, torch.Tensor]:
    """Score the tiles that hold right pairs; return them by (row, column) and the right scores [T]."""
    wanted: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    tile_rows, tile_columns = queries.row // grid.height, queries.video // grid.width
    for caption, (row, column) in enumerate(zip(tile_rows.tolist(), tile_columns.tolist(), strict=True)):
        wanted[column][row].append(caption)
    kept: Kept = {}
    right = torch.empty(len(queries.row))
    for column, by_row in wanted.items():
        videos = grid.video_block(column)
        for row, captions in by_row.items():
            tile = kept[row, column] = grid.tile(row, column, grid.text_block(row), videos)
            inside = queries.row[captions] % grid.height, queries.video[captions] % grid.width
            right[captions] = tile[inside]
    return kept, right
