"""Medians of many resamples at once: how many entries lie at or below each candidate, as a matrix product."""

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints
from xbench.metrics.ties import Ranked

Floats = NDArray[np.float64]

_STANDARD_ERRORS = 4.0
"""How far from the median candidates are tabulated at first; the table grows when that is not enough."""


class MedianTable:
    """The entries of each unit near the median, for medians under any draw counts.

    A query is one entry at the mean of its ranks, or, where its weight is their number, one at each of them
    (see `Ranked`).
    """

    def __init__(self, ranked: Ranked, unit: Ints, multiplicity: Ints) -> None:
        """unit: int64 [Q], the unit of each query. multiplicity: int64 [U], how many one unit stands for."""
        self._ranked, self._unit, self._units = ranked, unit, len(multiplicity)
        self._each_rank = bool((ranked.weight > 1).any())
        self._centre = (ranked.first + ranked.last) / 2
        self._stands_for = multiplicity[unit]
        self._entries = np.bincount(unit, ranked.weight, self._units)
        self._candidates = (
            np.arange(ranked.first.min(), ranked.last.max() + 1).astype(np.float64)
            if self._each_rank
            else np.unique(self._centre)
        )
        self._tabulate(_STANDARD_ERRORS * 0.5 / np.sqrt(multiplicity.sum()))

    def medians(self, drawn: Floats) -> Floats:
        """Return the median of each row of draw counts [r, U]; of an even number the mean of the middle two,
        or the lower of them where the published code takes that.
        """
        while (found := self._medians(drawn)) is None:
            self._tabulate(2 * self._reach)
        return found

    def _medians(self, drawn: Floats) -> Floats | None:
        """The medians, or None if one may lie outside the table."""
        up_to, total = drawn @ self._table, drawn @ self._entries
        middles = [(total + 1) // 2] if self._ranked.as_torch else [(total + 1) // 2, total // 2 + 1]
        too_low = self._start > 0 and (up_to[:, 0] >= middles[0]).any()
        if too_low or (up_to[:, -1] < middles[-1]).any():
            return None
        ranks = [self._values[(up_to >= middle[:, None]).argmax(axis=1)] for middle in middles]
        return sum(ranks, start=np.zeros(len(total))) / len(ranks)

    def _tabulate(self, reach: float) -> None:
        """Tabulate the candidates that hold the shares 0.5 - reach to 0.5 + reach of all entries."""
        self._reach = reach
        self._start = max(self._candidate_at(0.5 - reach) - 1, 0)
        self._values = self._candidates[self._start : self._candidate_at(0.5 + reach) + 2]
        columns = [np.bincount(self._unit, self._at_most(value), self._units) for value in self._values]
        self._table = np.stack(columns, axis=1)

    def _candidate_at(self, share: float) -> int:
        """The first candidate that has at least this share of the entries at or below it, by bisection."""
        wanted = share * (self._stands_for * self._ranked.weight).sum()
        low, high = 0, len(self._candidates) - 1
        while low < high:
            middle = (low + high) // 2
            reached = (self._at_most(self._candidates[middle]) * self._stands_for).sum() >= wanted
            low, high = (low, middle) if reached else (middle + 1, high)
        return low

    def _at_most(self, value: float) -> Floats:
        """How many entries of each query have a rank of at most `value`."""
        if self._each_rank:
            return np.clip(value - self._ranked.first + 1, 0, self._ranked.weight)
        return (self._centre <= value).astype(np.float64)
