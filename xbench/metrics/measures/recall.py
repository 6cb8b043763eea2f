"""Recall at K, the measure that papers of the field rank by."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ints, Ranked
from xbench.metrics.measures.base import CutoffMeasure, Floats


@dataclass(frozen=True)
class Recall(CutoffMeasure):
    """`R@K`: percentage of queries whose right item is among the first K."""

    symbol: ClassVar[str] = "R"
    place: ClassVar[int] = 0
    hub_name: ClassVar[str] = "recall"
    is_share: ClassVar[bool] = True

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
