"""Measures as values: `R@10` is hashable and printable, parsed by parse.py; per-query values come first.

A measure gives each rank a gain. Where a query may take the ranks `first` to `last`, its value is the mean
gain over them; that is the average tie policy in one formula, and the other policies are spans of one rank.
One item is right for each query.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints
from xbench.metrics.ties import Ranked

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Measure(ABC):
    """A way to turn ranks into one number. `higher_is_better` and `digits` tell how to read and print it."""

    higher_is_better: ClassVar[bool] = True
    digits: ClassVar[int] = 1
    scale: ClassVar[float] = 100.0

    @abstractmethod
    def gain(self, rank: Ints) -> Floats:
        """Return the gain of a 1-based rank, elementwise, before `scale`."""

    @abstractmethod
    def total_gain(self, rank: Ints) -> Floats:
        """Return the sum of the gains of the ranks 1 to `rank`, elementwise; 0 for rank 0."""

    def values(self, ranked: Ranked) -> Floats:
        """Return the value of each query: the mean gain of its ranks, float64 [Q], times `scale`."""
        spread = (self.total_gain(ranked.last) - self.total_gain(ranked.first - 1)) / ranked.size
        return self.scale * np.where(ranked.size == 1, self.gain(ranked.first), spread)

    def gains(self, ranked: Ranked) -> Floats:
        """Return what each query adds to the sum that `aggregate` divides by all weights, float64 [Q]."""
        gains = self.total_gain(ranked.last) - self.total_gain(ranked.first - 1)
        exact = np.where(ranked.size == 1, self.gain(ranked.first), gains)
        return self.scale * exact * (ranked.weight / ranked.size)

    def aggregate(self, ranked: Ranked) -> float:
        """Return the measure over all queries: the mean of their values, weighted by their entries."""
        return float(self.gains(ranked).sum() / ranked.weight.sum())

    def format(self, value: float) -> str:
        """Print a value with the digits that papers give it."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Recall(Measure):
    """`R@K`: percentage of queries whose right item is among the first K."""

    k: int

    def __str__(self) -> str:
        """Return `R@K`."""
        return f"R@{self.k}"

    def gain(self, rank: Ints) -> Floats:
        """1 up to rank K, 0 after it."""
        return (rank <= self.k).astype(np.float64)

    def total_gain(self, rank: Ints) -> Floats:
        """Ranks up to K count."""
        return np.minimum(rank, self.k).astype(np.float64)

    def aggregate(self, ranked: Ranked) -> float:
        """Return the percentage; in float32 where the published code computes it so."""
        if ranked.as_torch:
            return float(np.float32(self.gains(ranked).sum()) / np.float32(ranked.weight.sum()))
        return super().aggregate(ranked)


@dataclass(frozen=True)
class MeanRank(Measure):
    """`MnR`: the mean of the 1-based ranks."""

    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def __str__(self) -> str:
        """Return the measure's name."""
        return "MnR"

    def gain(self, rank: Ints) -> Floats:
        """The rank itself."""
        return rank.astype(np.float64)

    def total_gain(self, rank: Ints) -> Floats:
        """1 + 2 + ... + rank."""
        return (rank * (rank + 1) // 2).astype(np.float64)


@dataclass(frozen=True)
class MedianRank(MeanRank):
    """`MdR`: the median of the 1-based ranks, the mean of the middle two for an even number of queries.

    Under `reference` as published: over the entries of `compute_metrics`, or the lower of the middle two of
    `tensor_text_to_video_metrics`.
    """

    def __str__(self) -> str:
        """Return the measure's name."""
        return "MdR"

    def aggregate(self, ranked: Ranked) -> float:
        """Return the median over the queries, or over their entries where a query makes several."""
        if ranked.as_torch:
            return float(np.sort(self.values(ranked))[(len(ranked.first) - 1) // 2])
        if (ranked.weight == 1).all():
            return float(np.median(self.values(ranked)))
        return _median_of_entries(ranked)


@dataclass(frozen=True)
class ReciprocalRank(Measure):
    """`MRR`: the mean of 1/rank, between 0 and 1."""

    digits: ClassVar[int] = 3
    scale: ClassVar[float] = 1.0

    def __str__(self) -> str:
        """Return the measure's name."""
        return "MRR"

    def gain(self, rank: Ints) -> Floats:
        """1/rank."""
        return 1.0 / rank

    def total_gain(self, rank: Ints) -> Floats:
        """The harmonic numbers."""
        steps = 1.0 / np.arange(1, max(rank.max(initial=0), 1) + 1)
        return np.concatenate([[0.0], np.cumsum(steps)])[rank]


@dataclass(frozen=True)
class NDCG(Measure):
    """`nDCG@K` with one right item: 1 / log2(rank + 1) up to rank K, between 0 and 1."""

    digits: ClassVar[int] = 3
    scale: ClassVar[float] = 1.0
    k: int

    def __str__(self) -> str:
        """Return `nDCG@K`."""
        return f"nDCG@{self.k}"

    def gain(self, rank: Ints) -> Floats:
        """1 / log2(rank + 1) up to rank K, 0 after it."""
        return np.where(rank <= self.k, 1.0 / np.log2(rank + 1.0), 0.0)

    def total_gain(self, rank: Ints) -> Floats:
        """The sum of the discounts, constant after rank K."""
        discounts = 1.0 / np.log2(np.arange(1, self.k + 1) + 1.0)
        return np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(rank, self.k)]


@dataclass(frozen=True)
class RecallSum(Measure):
    """`RSum`: R@1 + R@5 + R@10 of one direction, at most 300."""

    def __str__(self) -> str:
        """Return the measure's name."""
        return "RSum"

    def gain(self, rank: Ints) -> Floats:
        """How many of 1, 5 and 10 the rank does not exceed."""
        return ((rank <= 1).astype(np.float64) + (rank <= 5)) + (rank <= 10)

    def total_gain(self, rank: Ints) -> Floats:
        """The three recalls' gains together."""
        return sum((np.minimum(rank, k) for k in (1, 5, 10)), start=np.zeros(len(rank)))


DEFAULT_MEASURES: tuple[Measure, ...] = (Recall(1), Recall(5), Recall(10), MedianRank(), MeanRank())
"""What the papers report: R@1, R@5, R@10, MdR, MnR."""


def _median_of_entries(ranked: Ranked) -> float:
    changes = np.zeros(int(ranked.last.max()) + 2, dtype=np.int64)
    np.add.at(changes, ranked.first, 1)
    np.add.at(changes, ranked.last + 1, -1)
    up_to = np.cumsum(np.cumsum(changes))
    middle = np.array([(up_to[-1] + 1) // 2, up_to[-1] // 2 + 1])
    return float(np.searchsorted(up_to, middle).mean())
