"""The block engine: any scorer, any size, bounded memory, ranks counted while the matrix streams by.

The T x V matrix is cut into tiles of the scorer's own block shape, a function of the model and the device
only, never of memory, threads or data. Equal captions share one row, so their ties are exact. The tiles that
hold right pairs are scored first, because the right item's score must come from the same tile as its rivals';
then blocks of whole tiles are counted, and the counts add up. See `units`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.encoding import FeatureTable
from xbench.engine.grid import Grid, Probed, Tile
from xbench.engine.ledger import Ledger
from xbench.engine.pool import Bench, InProcess, Pool
from xbench.engine.units import Block, Ints, Queries, Scoring, Sum, Tensors
from xbench.errors import DataError, explain
from xbench.metrics.counts import Counts
from xbench.scorers.base import PairScorer
from xbench.storage import appearing, scratch, tidy
from xbench.terms import V2TRule

OnScores = Callable[[Ints, slice, torch.Tensor], None]
"""Gets n captions, a slice of v videos and their float32 [n, v] scores."""


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
    ledger: Path | None = None,
    pool: Callable[[Bench], Pool] = InProcess,
    on_scores: OnScores | None = None,
    on_pairs: Callable[[int], None] = lambda count: None,
) -> tuple[Counts, Counts]:
    """Score every caption against every video and return the (t2v, v2t) counts.

    texts: features of the U distinct texts; videos: of the V videos. memory: bytes that features and scores
    may take at a time; it changes no number. ledger: a folder for this scoring alone, in which finished units
    are kept; what is there is not computed again. pool: where units are carried out. on_scores gets all
    scores, block by block in any order; then counts are not taken from the ledger. on_pairs is told how many
    of the U x V pairs are done.

    Raises ModelError when some pairs, scored again in another block, get other scores: see `contract`.
    """
    scoring = Scoring(Grid(scorer, texts, videos, memory // 2), queries, v2t, memory // 4)
    with ExitStack() as stack:
        kept = stack.enter_context(closing(Ledger(ledger or stack.enter_context(scratch()))))
        return _rank(scoring, pool(Bench(scoring, kept)), kept, on_scores, on_pairs)


def _rank(
    scoring: Scoring, pool: Pool, ledger: Ledger, on_scores: OnScores | None, on_pairs: Callable[[int], None]
) -> tuple[Counts, Counts]:
    right = _right(scoring, pool, ledger, on_pairs)
    total = Sum(scoring, right)
    todo: list[Block] = []
    for block in scoring.blocks:
        known = ledger.get("count", block) if on_scores is None else None
        if known is None:
            todo.append(block)
        else:
            total.add(block, known)
            on_pairs(_new_pairs(scoring, block))
    for block, result in pool.count(todo, right, scores=on_scores is not None):
        if on_scores is not None:
            captions, videos = scoring.captions(*block[:2]), scoring.grid.column_slice(block[2])
            on_scores(captions, videos, result.pop("scores"))
        ledger.put("count", block, result)
        total.add(block, result)
        on_pairs(_new_pairs(scoring, block))
    return total.counts()


def _right(
    scoring: Scoring, pool: Pool, ledger: Ledger, on_pairs: Callable[[int], None]
) -> NDArray[np.float32]:
    """Return the score [T] of each caption's right pair.

    Raises ModelError for a scorer that breaks its contract.
    """
    right = np.empty(len(scoring.queries.row), np.float32)
    todo: list[Tile] = []
    probed: list[Probed] = []

    def take(tile: Tile, result: Tensors) -> None:
        right[result["captions"].numpy()] = result["scores"].numpy()
        if tile in scoring.probes:
            probed.append(Probed.read(scoring.probes[tile], result))
        if tile in scoring.kept:
            on_pairs(_pairs(scoring, *tile))

    for tile in scoring.right_tiles:
        known = ledger.get("right", tile)
        if known is None:
            todo.append(tile)
        else:
            take(tile, known)
    for tile, result in pool.right(todo):
        ledger.put("right", tile, result)
        take(tile, result)
    scoring.grid.require_contract(probed)
    return right


def _new_pairs(scoring: Scoring, block: Block) -> int:
    """The pairs of a block, without those of tiles that were kept and told of already."""
    tiles = ((row, block[2]) for row in range(block[0], block[1]))
    return sum(_pairs(scoring, *tile) for tile in tiles if tile not in scoring.kept)


def _pairs(scoring: Scoring, row: int, column: int) -> int:
    texts, videos = scoring.grid.row_slice(row, row + 1), scoring.grid.column_slice(column)
    return int((texts.stop - texts.start) * (videos.stop - videos.start))


def score_strips(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    *,
    memory: int = 1 << 30,
    on_pairs: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield each slice of the videos, in order, with the scores [U, v] of all texts, whatever is right.

    memory: bytes of features that may be held. on_pairs is told how many more of the U x V pairs are done.
    """
    grid = Grid(scorer, texts, videos, memory)
    for column in range(grid.columns):
        strip = grid.tiles(0, grid.rows, column, lambda row, column: None)
        on_pairs(strip.numel())
        yield grid.column_slice(column), strip


@contextmanager
def save_matrix(path: Path, captions: int, videos: int) -> Iterator[OnScores]:
    """Yield an `on_scores` that writes the T x V float32 matrix to an .npy file that appears only when whole.

    Raises DataError when the file cannot be written.
    """
    with _unwritable(path, captions, videos):
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path.parent)
    with appearing(path) as temporary:
        with _unwritable(path, captions, videos):
            matrix = _allocate(temporary, captions, videos)

        def on_scores(rows: Ints, columns: slice, scores: torch.Tensor) -> None:
            matrix[rows, columns] = scores.numpy()

        yield on_scores
        matrix.flush()


@contextmanager
def _unwritable(path: Path, captions: int, videos: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The similarity matrix ({captions} x {videos} float32) cannot be saved in {path.parent}: "
            f"{explain(error)}"
        ) from error


def _allocate(path: Path, captions: int, videos: int) -> "np.memmap[tuple[int, ...], np.dtype[np.float32]]":
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(captions, videos))
    if hasattr(os, "posix_fallocate"):  # a full disk must be an error here, not a bus error at some write
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return matrix
