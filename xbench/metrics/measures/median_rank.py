"""The median of the ranks; its resamples are counted in xbench.metrics.medians."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xbench.metrics.counts import Ranked
from xbench.metrics.measures.mean_rank import MeanRank


@dataclass(frozen=True)
class MedianRank(MeanRank):
    """`MdR`: the median of the 1-based ranks, the mean of the middle two for an even number of queries.

    Under `reference` as published: over the entries of `compute_metrics`, or the lower of the middle two of
    `tensor_text_to_video_metrics`.
    """

    symbol: ClassVar[str] = "MdR"
    place: ClassVar[int] = 1
    hub_name: ClassVar[str] = "median_rank"
    is_mean: ClassVar[bool] = False

    def aggregate(self, ranked: Ranked) -> float:
        """Return the median over the queries, or over their entries where a query makes several."""
        if ranked.as_torch:
            return float(np.sort(self.values(ranked))[(len(ranked.first) - 1) // 2])
        if (ranked.weight == 1).all():
            return float(np.median(self.values(ranked)))
        return _median_of_entries(ranked)


def _median_of_entries(ranked: Ranked) -> float:
    changes = np.zeros(int(ranked.last.max()) + 2, dtype=np.int64)
    np.add.at(changes, ranked.first, 1)
    np.add.at(changes, ranked.last + 1, -1)
    up_to = np.cumsum(np.cumsum(changes))
    middle = np.array([(up_to[-1] + 1) // 2, up_to[-1] // 2 + 1])
    return float(np.searchsorted(up_to, middle).mean())
