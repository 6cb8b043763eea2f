"""The mean of the ranks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ints
from xbench.metrics.measures.base import Floats, Measure


@dataclass(frozen=True)
class MeanRank(Measure):
    """`MnR`: the mean of the 1-based ranks."""

    symbol: ClassVar[str] = "MnR"
    place: ClassVar[int] = 2
    hub_name: ClassVar[str] = "mean_rank"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0
    lowest: ClassVar[float] = 1.0
    highest: ClassVar[float] = float("inf")
    is_rank: ClassVar[bool] = True

    def gain(self, rank: Ints) -> Floats:
        """The rank itself."""
        return rank.astype(np.float64)

    def total_gain(self, rank: Ints) -> Floats:
        """1 + 2 + ... + rank."""
        return (rank * (rank + 1) // 2).astype(np.float64)
