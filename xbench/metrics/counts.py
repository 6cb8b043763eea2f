"""How many items score higher than the right one or tie with it, on any device, and the ranks that follow.

torch is imported only when a tensor is at hand.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.terms import Ties

Array = Any
"""A NumPy array or a torch tensor."""

Ints = NDArray[np.int64]


def settle(scores: Array) -> Array:
    """Return scores where they are counted: tensors of an accelerator stay there, others become arrays.

    NumPy counts ten times as fast as torch on a CPU.
    """
    return scores if isinstance(scores, np.ndarray) or on_accelerator(scores) else to_numpy(scores)


def on_accelerator(scores: Array) -> bool:
    """Whether a tensor lives outside the CPU's memory."""
    return bool(scores.device.type != "cpu")


def as_kind(values: NDArray[Any], pattern: Array) -> Array:
    """Return `values` as the kind of array that `pattern` is, on its device."""
    if isinstance(pattern, np.ndarray):
        return values
    import torch

    return torch.as_tensor(values, device=pattern.device)


def to_numpy(values: Array) -> NDArray[Any]:
    """Return an array, or a tensor of any device, as a NumPy array; half precision becomes float32."""
    if not isinstance(values, np.ndarray):
        half = values.is_floating_point() and values.element_size() < 4
        values = (values.float() if half else values).cpu().numpy()
    return values.astype(np.float32) if values.dtype == np.float16 else np.asarray(values)


def pick(scores: Array, columns: Array) -> Array:
    """Return one score of each row: [Q, N] and int64 [Q] -> [Q]."""
    return scores[as_kind(np.arange(len(columns)), scores), columns]


def row_sums(mask: Array) -> Array:
    """Count the true entries of each row: bool [Q, N] -> int64 [Q]."""
    return np.count_nonzero(mask, axis=1) if isinstance(mask, np.ndarray) else mask.sum(1)


def compare(scores: Array, limits: Array) -> tuple[Array, Array, bool]:
    """Count in each row of [Q, N] what is above its limit and what equals it; tell if all surely are finite.

    An accelerator's tensor is not asked whether it is finite: the answer would be waited for.
    """
    if isinstance(scores, np.ndarray):
        return compare_rows(scores, limits)
    return row_sums(scores > limits[:, None]), row_sums(scores == limits[:, None]), False


def is_nan(scores: Array) -> Array:
    """Return a mask of the NaN entries."""
    return np.isnan(scores) if isinstance(scores, np.ndarray) else scores.isnan()


def count_nonfinite(scores: Array) -> Array:
    """Return how many entries are NaN or infinite: a NumPy integer, or a tensor on the scores' device."""
    if isinstance(scores, np.ndarray):
        return scores.size - np.count_nonzero(np.isfinite(scores))
    return scores.numel() - scores.isfinite().sum()


_BLOCK = 1 << 19
"""Scores of a block: two megabytes."""
_ALONE = 1 << 22
"""So many scores one thread compares as fast as several."""
_MOST = 255
"""Ones whose sum fits a byte."""
_WIDE = 4096
"""Bytes of a row that are added in one go; narrower rows are laid side by side."""

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


@dataclass(frozen=True, eq=False)
class Counts:
    """Per query: rivals above the right item, rivals tied with it, its score.

    better: int64 [Q], rivals scored strictly higher. tied: int64 [Q], other items scored equal (+0 and -0
    are). right: float32 [Q] (float64 where the scores are), the right item's score. nan_rivals: int64 [Q],
    rivals scored NaN, which are neither better nor tied. nonfinite: how many of the scores looked at were NaN
    or infinite, right items included.
    """

    better: Ints
    tied: Ints
    right: NDArray[np.floating[Any]]
    nan_rivals: Ints
    nonfinite: int

    def __len__(self) -> int:
        """Return the number of queries Q."""
        return len(self.better)

    @classmethod
    def concatenate(cls, parts: Sequence["Counts"]) -> "Counts":
        """Join the counts of different queries, in order."""
        return cls(
            better=np.concatenate([part.better for part in parts]),
            tied=np.concatenate([part.tied for part in parts]),
            right=np.concatenate([part.right for part in parts]),
            nan_rivals=np.concatenate([part.nan_rivals for part in parts]),
            nonfinite=sum(part.nonfinite for part in parts),
        )

    def take(self, queries: Ints) -> "Counts":
        """Return the counts of some queries, in the order given; `nonfinite` stays that of all."""
        return Counts(
            better=self.better[queries],
            tied=self.tied[queries],
            right=self.right[queries],
            nan_rivals=self.nan_rivals[queries],
            nonfinite=self.nonfinite,
        )


@dataclass(frozen=True, eq=False)
class Ranked:
    """Queries with the ranks that the right item takes: `first` to `last`, equally likely.

    first, last: int64 [Q], 1-based. weight: int64 [Q], how many entries the query makes in a mean (1, save
    under `reference`). queries: int64 [Q], which queries these are. vanished: how many the policy dropped.
    as_torch: aggregate as the published `tensor_text_to_video_metrics` does, percentages in float32 and the
    lower of two medians.
    """

    first: Ints
    last: Ints
    weight: Ints
    queries: Ints
    vanished: int = 0
    as_torch: bool = False

    @property
    def size(self) -> Ints:
        """How many ranks each query may take, int64 [Q]."""
        return self.last - self.first + 1

    def take(self, members: Ints) -> "Ranked":
        """Return some of the queries."""
        return replace(
            self,
            first=self.first[members],
            last=self.last[members],
            weight=self.weight[members],
            queries=self.queries[members],
        )


def rank_queries(counts: Counts, ties: Ties = Ties.AVERAGE, *, as_torch: bool = False) -> Ranked:
    """Turn counts into ranks by a policy.

    as_torch says which of its two routines the published code would use, and matters to `reference` alone:
    True for text-to-video where videos have several captions (`tensor_text_to_video_metrics`: NaN rivals come
    first, ties in the order of an unstable sort, for which the mean over all orders stands here), False for
    everything else (`compute_metrics`: NaN rivals come last, a query enters once for each tied position).
    Raises DataError for NaN or infinite scores under any policy but `reference`.
    """
    if ties is Ties.REFERENCE:
        return _as_published(counts, as_torch)
    if counts.nonfinite:
        raise DataError(
            f"{counts.nonfinite:,} of the similarity scores are NaN or infinite, so there is no honest rank."
            " A video without a frame or an overflow in half precision causes them: find the videos, or score"
            " in --precision fp32. --ties reference shows what the published code would make of it"
        )
    first, last = counts.better + 1, counts.better + counts.tied + 1
    if ties is Ties.OPTIMISTIC:
        last = first
    if ties is Ties.PESSIMISTIC:
        first = last
    return Ranked(first, last, np.ones_like(first), np.arange(len(first)))


def _as_published(counts: Counts, as_torch: bool) -> Ranked:
    kept = np.isfinite(counts.right)
    if not kept.any():
        raise DataError(
            "no query has a finite score for its right item, and the published code divides by zero: mend the"
            " scores, or the features that they come from"
        )
    above = (counts.better + counts.nan_rivals if as_torch else counts.better)[kept]
    tied = counts.tied[kept]
    return Ranked(
        first=above + 1,
        last=above + tied + 1,
        weight=np.ones_like(tied) if as_torch else tied + 1,
        queries=np.flatnonzero(kept),
        vanished=int(len(kept) - kept.sum()),
        as_torch=as_torch,
    )
