"""The measures of one direction in one call: counts in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbench.metrics.arrays import Ints
from xbench.metrics.bootstrap import Interval, intervals
from xbench.metrics.counts import Counts
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.metrics.ties import rank_queries
from xbench.terms import Ties


@dataclass(frozen=True)
class Summary:
    """Measures of one direction. tied: queries whose right item ties with another. vanished: queries that the
    published code leaves out of the denominator (only `reference` does). intervals: empty if not asked for.
    """

    values: dict[Measure, float]
    intervals: dict[Measure, Interval]
    queries: int
    tied: int
    vanished: int


def summarise(
    counts: Counts,
    ties: Ties = Ties.AVERAGE,
    measures: Sequence[Measure] = DEFAULT_MEASURES,
    *,
    as_torch: bool = False,
    clusters: Ints | None = None,
    resamples: int = 0,
) -> Summary:
    """Compute measures over all queries, with 95% intervals from `resamples` resamples if there are any.

    as_torch: True for text-to-video where videos have several captions (see `rank_queries`). clusters: then
    the video of each caption, int64 [Q], because the captions of one video are not independent. Raises
    DataError for NaN or infinite scores under any policy but `reference`.
    """
    ranked = rank_queries(counts, ties, as_torch=as_torch)
    return Summary(
        values={measure: measure.aggregate(ranked) for measure in measures},
        intervals=intervals(ranked, measures, clusters, resamples=resamples) if resamples else {},
        queries=len(counts),
        tied=int(np.count_nonzero(counts.tied)),
        vanished=ranked.vanished,
    )
