"""What scores that were computed again say of counts: how many rivals are surely above and surely below.

Scores move a little from machine to machine, so a rival whose score is near that of the right item says
nothing. Of a part of the gallery the scores bound the counts; of all of it they leave only such rivals open.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Counts, Ints
from xbench.metrics.ranking import CaptionGroups
from xbench.terms import V2TRule

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Of each query, rivals that were looked at: int64 [Q] surely above, surely below, too near to tell.

    right: [Q], the right item's score as it was computed again.
    """

    above: Ints
    below: Ints
    near: Ints
    right: Scores

    def too_few_better(self, counts: Counts) -> NDArray[np.bool_]:
        """Return the queries [Q] that count fewer better rivals than are surely above."""
        return np.asarray(counts.better < self.above)

    def too_many_counted(self, counts: Counts, rivals: Ints) -> NDArray[np.bool_]:
        """Return the queries [Q] whose counts leave too few of all their `rivals` [Q] below."""
        return np.asarray(counts.better + counts.tied + counts.nan_rivals > rivals - self.below)


def t2v_bounds(scores: Scores, caption_to_video: Ints, margin: float) -> Bounds:
    """Bound the counts of captions by some videos, their own among them.

    scores: [t, v]; caption_to_video: int64 [t], the column of each caption's own video. margin: how much
    nearer two scores may lie than they seem to.
    """
    own = caption_to_video[:, None] == np.arange(scores.shape[1])[None, :]
    return _bounds(scores, scores[own], ~own, margin)


def v2t_bounds(scores: Scores, caption_to_video: Ints, rule: V2TRule, margin: float) -> Bounds:
    """Bound the counts of videos, of which all captions are at hand, by these captions.

    scores: [t, v], all captions of some of the videos; caption_to_video: int64 [t]. Returns a query for each
    video that has captions here, in order; its rivals are those of `v2t_strip_counts`.
    """
    groups = CaptionGroups(caption_to_video)
    columns = scores[:, groups.videos]
    best: Scores = groups.best(columns).T
    right = np.diagonal(best).copy()
    if rule == "group-max" or groups.single:
        return _bounds(best, right, ~np.eye(len(best), dtype=bool), margin)
    return _bounds(columns.T, right, caption_to_video[None, :] != groups.videos[:, None], margin)


def _bounds(scores: Scores, right: Scores, rivals: NDArray[np.bool_], margin: float) -> Bounds:
    apart = scores.astype(np.float64) - right[:, None].astype(np.float64)
    above, below = (apart > margin) & rivals, (apart < -margin) & rivals
    near = rivals & ~above & ~below
    counted = [np.count_nonzero(each, axis=1) for each in (above, below, near)]
    return Bounds(counted[0], counted[1], counted[2], right)
