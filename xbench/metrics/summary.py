"""The measures of one direction in one call: counts in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbench.metrics.counts import Counts
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.metrics.ties import Ties, rank_queries


@dataclass(frozen=True)
class Summary:
    """Measures of one direction. tied: queries whose right item ties with another. vanished: queries that the
    published code leaves out of the denominator (only `reference` does).
    """

    values: dict[Measure, float]
    queries: int
    tied: int
    vanished: int


def summarise(
    counts: Counts,
    ties: Ties = Ties.AVERAGE,
    measures: Sequence[Measure] = DEFAULT_MEASURES,
    *,
    as_torch: bool = False,
) -> Summary:
    """Compute measures over all queries.

    as_torch: True for text-to-video where videos have several captions (see `rank_queries`). Raises DataError
    for NaN or infinite scores under any policy but `reference`.
    """
    ranked = rank_queries(counts, ties, as_torch=as_torch)
    return Summary(
        values={measure: measure.aggregate(ranked) for measure in measures},
        queries=len(counts),
        tied=int(np.count_nonzero(counts.tied)),
        vanished=ranked.vanished,
    )
