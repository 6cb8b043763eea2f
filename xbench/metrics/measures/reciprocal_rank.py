"""The mean of the reciprocal ranks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ints
from xbench.metrics.measures.base import Floats, Measure


@dataclass(frozen=True)
class ReciprocalRank(Measure):
    """`MRR`: the mean of 1/rank, between 0 and 1."""

    symbol: ClassVar[str] = "MRR"
    place: ClassVar[int] = 3
    hub_name: ClassVar[str] = "mrr"
    digits: ClassVar[int] = 3
    scale: ClassVar[float] = 1.0
    highest: ClassVar[float] = 1.0

    def gain(self, rank: Ints) -> Floats:
        """1/rank."""
        return 1.0 / rank

    def total_gain(self, rank: Ints) -> Floats:
        """The harmonic numbers."""
        steps = 1.0 / np.arange(1, max(rank.max(initial=0), 1) + 1)
        return np.concatenate([[0.0], np.cumsum(steps)])[rank]
