"""Normalised discounted cumulative gain where one item is right."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ints
from xbench.metrics.measures.base import CutoffMeasure, Floats


@dataclass(frozen=True)
class NDCG(CutoffMeasure):
    """`nDCG@K` with one right item: 1 / log2(rank + 1) up to rank K, between 0 and 1."""

    symbol: ClassVar[str] = "nDCG"
    place: ClassVar[int] = 4
    hub_name: ClassVar[str] = "ndcg"
    digits: ClassVar[int] = 3
    scale: ClassVar[float] = 1.0
    highest: ClassVar[float] = 1.0

    def gain(self, rank: Ints) -> Floats:
        """1 / log2(rank + 1) up to rank K, 0 after it."""
        return np.where(rank <= self.k, 1.0 / np.log2(rank + 1.0), 0.0)

    def total_gain(self, rank: Ints) -> Floats:
        """The sum of the discounts, constant after rank K."""
        discounts = 1.0 / np.log2(np.arange(1, self.k + 1) + 1.0)
        return np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(rank, self.k)]
