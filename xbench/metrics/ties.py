"""What a query's rank is when other items score as much as the right one: four policies."""

from dataclasses import dataclass, replace

import numpy as np

from xbench.errors import DataError
from xbench.metrics.arrays import Ints
from xbench.metrics.counts import Counts
from xbench.terms import Ties


@dataclass(frozen=True, eq=False)
class Ranked:
    """Queries with the ranks that the right item takes: `first` to `last`, equally likely.

    first, last: int64 [Q], 1-based. weight: int64 [Q], how many entries the query makes in a mean (1, save
    under `reference`). queries: int64 [Q], which queries these are. vanished: how many the policy dropped.
    as_torch: aggregate as the published `tensor_text_to_video_metrics` does, percentages in float32 and the
    lower of two medians.
    """

    first: Ints
    last: Ints
    weight: Ints
    queries: Ints
    vanished: int = 0
    as_torch: bool = False

    @property
    def size(self) -> Ints:
        """How many ranks each query may take, int64 [Q]."""
        return self.last - self.first + 1

    def take(self, members: Ints) -> "Ranked":
        """Return some of the queries."""
        return replace(
            self,
            first=self.first[members],
            last=self.last[members],
            weight=self.weight[members],
            queries=self.queries[members],
        )


def rank_queries(counts: Counts, ties: Ties = Ties.AVERAGE, *, as_torch: bool = False) -> Ranked:
    """Turn counts into ranks by a policy.

    as_torch says which of its two routines the published code would use, and matters to `reference` alone:
    True for text-to-video where videos have several captions (`tensor_text_to_video_metrics`: NaN rivals come
    first, ties in the order of an unstable sort, for which the mean over all orders stands here), False for
    everything else (`compute_metrics`: NaN rivals come last, a query enters once for each tied position).
    Raises DataError for NaN or infinite scores under any policy but `reference`.
    """
    if ties is Ties.REFERENCE:
        return _as_published(counts, as_torch)
    if counts.nonfinite:
        raise DataError(
            f"{counts.nonfinite:,} of the similarity scores are NaN or infinite, so there is no honest rank."
            " A video without a frame or an overflow in half precision causes them: find the videos, or score"
            " in --precision fp32. --ties reference shows what the published code would make of it"
        )
    first, last = counts.better + 1, counts.better + counts.tied + 1
    if ties is Ties.OPTIMISTIC:
        last = first
    if ties is Ties.PESSIMISTIC:
        first = last
    return Ranked(first, last, np.ones_like(first), np.arange(len(first)))


def _as_published(counts: Counts, as_torch: bool) -> Ranked:
    kept = np.isfinite(counts.right)
    if not kept.any():
        raise DataError("no query has a finite score for its right item: the published code divides by zero")
    above = (counts.better + counts.nan_rivals if as_torch else counts.better)[kept]
    tied = counts.tied[kept]
    return Ranked(
        first=above + 1,
        last=above + tied + 1,
        weight=np.ones_like(tied) if as_torch else tied + 1,
        queries=np.flatnonzero(kept),
        vanished=int(len(kept) - kept.sum()),
        as_torch=as_torch,
    )
