"""The sum of the three recalls that papers report."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ints
from xbench.metrics.measures.base import Floats, Measure


@dataclass(frozen=True)
class RecallSum(Measure):
    """`RSum`: R@1 + R@5 + R@10 of one direction, at most 300."""

    symbol: ClassVar[str] = "RSum"
    place: ClassVar[int] = 5
    hub_name: ClassVar[str] = "recall_sum"
    highest: ClassVar[float] = 300.0

    def gain(self, rank: Ints) -> Floats:
        """How many of 1, 5 and 10 the rank does not exceed."""
        return ((rank <= 1).astype(np.float64) + (rank <= 5)) + (rank <= 10)

    def total_gain(self, rank: Ints) -> Floats:
        """The three recalls' gains together."""
        return sum((np.minimum(rank, k) for k in (1, 5, 10)), start=np.zeros(len(rank)))
