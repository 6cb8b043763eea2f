"""Comparing each row of a score matrix with a limit of its own, as fast as the scores can be read.

Blocks of a matrix stay in a core's cache while they are compared, and one mask is used again and again:
fresh memory for every mask takes longer than comparing. `numpy.count_nonzero(mask, axis=1)` turns every byte
into an int64 first; here up to 255 of them are added as bytes, 64 at a time.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 19
"""Scores of a block: two megabytes."""
_ALONE = 1 << 22
"""So many scores one thread compares as fast as several."""
_MOST = 255
"""Ones whose sum fits a byte."""
_WIDE = 4096
"""Bytes of a row that are added in one go; narrower rows are laid side by side."""

Ints = NDArray[np.int64]
Scores = NDArray[Any]
Found = tuple[Ints, Ints, bool]


def compare_rows(scores: Scores, limits: Scores) -> Found:
    """Count the entries of each row above its limit, and those equal to it; tell whether all are finite.

    scores: [Q, N], in either memory order; limits: [Q]. The cores share what is large. Returns int64 [Q],
    int64 [Q], bool.
    """
    columnwise = abs(scores.strides[0]) < abs(scores.strides[1])
    lines = scores.T if columnwise else scores

    def compare(part: slice) -> Found:
        return _down(lines[part], limits) if columnwise else _along(lines[part], limits[part])

    found = _share(compare, len(lines), 1 if scores.size <= _ALONE else os.cpu_count() or 1)
    above, equal = [counts for counts, _, _ in found], [counts for _, counts, _ in found]
    finite = all(each for _, _, each in found)
    if columnwise:
        return np.add.reduce(above), np.add.reduce(equal), finite
    return np.concatenate(above), np.concatenate(equal), finite


def _share(compare: Callable[[slice], Found], lines: int, workers: int) -> list[Found]:
    if workers == 1:
        return [compare(slice(None))]
    edges = [lines * worker // workers for worker in range(workers + 1)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(compare, map(slice, edges, edges[1:])))


def _along(lines: Scores, limits: Scores) -> Found:
    """Compare each line of [L, N] with its limit [L]."""
    above, equal = np.empty(len(lines), np.int64), np.empty(len(lines), np.int64)
    finite, masks = True, _Masks(lines)
    for rows in masks.blocks:
        block, mask = lines[rows], masks.of(rows)
        np.greater(block, limits[rows, None], out=mask)
        above[rows] = masks.along(rows)
        np.equal(block, limits[rows, None], out=mask)
        equal[rows] = masks.along(rows)
        finite = finite and masks.finite(block)
    return above, equal, finite


def _down(lines: Scores, limits: Scores) -> Found:
    """Compare each column of [L, N] with its limit [N]."""
    above, equal = np.zeros(len(limits), np.int64), np.zeros(len(limits), np.int64)
    finite, masks = True, _Masks(lines)
    for rows in masks.blocks:
        block, mask = lines[rows], masks.of(rows)
        np.greater(block, limits, out=mask)
        above += masks.down(rows)
        np.equal(block, limits, out=mask)
        equal += masks.down(rows)
        finite = finite and masks.finite(block)
    return above, equal, finite


class _Masks:
    """How a matrix [L, N] is cut into blocks of rows, one mask that serves them all, and its sums."""

    def __init__(self, lines: Scores) -> None:
        self._length = lines.shape[1]
        step = max(1, _BLOCK // max(1, self._length))
        self.blocks = [slice(at, min(at + step, len(lines))) for at in range(0, len(lines), step)]
        self._groups = max(1, -(-self._length // (2 * _MOST)))
        padded = 2 * self._groups * -(-self._length // (2 * self._groups))
        self._bytes = np.zeros((min(step, len(lines)), padded), np.uint8)
        self._finite = np.zeros((min(step, len(lines)), self._length), bool)

    def of(self, rows: slice) -> NDArray[np.bool_]:
        """Return the mask for a block, to be written to."""
        return self._used(rows)[:, : self._length].view(np.bool_)

    def along(self, rows: slice) -> Ints:
        """Count the true entries of each row: two bytes at a time, neither of which overflows."""
        pairs = self._used(rows).view(np.uint16).reshape(rows.stop - rows.start, self._groups, -1)
        total: Ints = np.einsum("rgn->rg", pairs).view(np.uint8).sum(axis=1, dtype=np.int64)
        return total

    def down(self, rows: slice) -> Ints:
        """Count the true entries of each column, as many rows at a time as fit a byte."""
        used = self._used(rows)
        width = used.shape[1]
        beside = max(1, _WIDE // max(1, width))
        whole = len(used) // beside
        total: Ints = used[whole * beside :].sum(axis=0, dtype=np.int64)
        wide = used[: whole * beside].reshape(whole, beside * width)
        for start in range(0, whole, _MOST):
            part = np.add.reduce(wide[start : start + _MOST], axis=0, dtype=np.uint8)
            total += part if beside == 1 else part.reshape(beside, width).sum(axis=0, dtype=np.int64)
        return total[: self._length]

    def finite(self, block: Scores) -> bool:
        """Whether a block has no NaN and no infinity.

        Into contiguous memory: `isfinite` of NumPy 2.4 is wrong from column to column of wider arrays.
        """
        return bool(np.isfinite(block, out=self._finite[: len(block)]).all())

    def _used(self, rows: slice) -> NDArray[np.uint8]:
        return self._bytes[: rows.stop - rows.start]
