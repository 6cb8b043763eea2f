"""Two stages as one ranking: what the first puts at the top is scored again by the second.

The candidates of a query are the items that fewer than k others beat in the first stage: the first k, and
whatever ties with the k-th, so that no order of the gallery decides who is in. If the right item is among
them, it is ranked among them by the second stage; all others come after them, and if the right item is one
of these, it keeps the rank that the first stage gave it. In text-to-video items are videos. In video-to-text
they are captions; where videos have several captions and the rule is `group-max`, items are videos by their
best caption, and the second stage scores all captions of a candidate. With k as large as the gallery it is
the ranking of the second stage alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.metrics.counts import Counts, Ints, count_nonfinite
from xbench.metrics.ranking import CaptionGroups, check_sizes, chunks, t2v_counts, v2t_counts
from xbench.terms import Direction, V2TRule


@dataclass(frozen=True, eq=False)
class TwoStageCounts:
    """The counts of both directions, and how the candidates came out, by direction.

    outside: queries whose right item is no candidate. wider: queries that have more than k candidates, for
    ties with the k-th.
    """

    t2v: Counts
    v2t: Counts
    outside: dict[Direction, int]
    wider: dict[Direction, int]


@dataclass(frozen=True, eq=False)
class _Listed:
    """n candidates of some queries, all of those queries' candidates, made of m pairs.

    query: int64 [n]; right: bool [n], whether it is the query's right item; pairs: int64 [m], as in
    `TwoStages.pairs`; starts: int64 [n], where each candidate's pairs begin.
    """

    query: Ints
    right: NDArray[np.bool_]
    pairs: Ints
    starts: Ints


class TwoStages:
    """A first stage's scores, and the pairs that a second stage is to score."""

    def __init__(self, first: NDArray[Any], row: Ints, owners: Ints, rule: V2TRule, k: int) -> None:
        """first: [T, V], higher is closer, may be mapped from a file. row: int64 [T], each caption's text
        among the U distinct ones. owners: int64 [T], each caption's video.

        Raises DataError when the sizes do not go together, and for scores that are not finite: with these
        nothing says which items are first.
        """
        check_sizes(first, owners)
        self.first, self.row, self.owners, self.rule, self.k = first, row, owners, rule, k
        self.groups = CaptionGroups(owners)
        bad = sum(int(count_nonfinite(first[rows])) for rows in chunks(*first.shape))
        if bad:
            raise DataError(
                f"{bad:,} of the first stage's scores are NaN or infinite, so nothing says which items come"
                " first: find the videos that they belong to, or score the first stage in --precision fp32"
            )

    @cached_property
    def pairs(self) -> Ints:
        """The distinct pairs that the second stage scores, sorted: text x V + video, int64 [P]."""
        listed = [part.pairs for side in (self._t2v(), self._v2t()) for part in side]
        return np.unique(np.concatenate(listed))

    def by_text(self) -> Iterator[tuple[int, Ints]]:
        """Yield each text that is in a pair with its videos, in the order of `pairs`."""
        texts, videos = np.divmod(self.pairs, self.first.shape[1])
        found, starts = np.unique(texts, return_index=True)
        yield from zip(found.tolist(), np.split(videos, starts[1:]), strict=True)

    def counts(self, scores: NDArray[np.floating[Any]]) -> TwoStageCounts:
        """Count both directions. scores: [P], what the second stage gave the pairs.

        Raises DataError for scores that are not finite.
        """
        captions, videos = len(self.owners), len(self.groups.videos)
        if bad := int(count_nonfinite(scores)):
            raise DataError(
                f"{bad:,} of the second stage's {len(scores):,} scores are NaN or infinite, so there is no"
                " honest rank: find the videos that they belong to, or score in --precision fp32"
            )
        t2v = _Second(captions, self.k).read(self._t2v(), self.pairs, scores)
        v2t = _Second(videos, self.k).read(self._v2t(), self.pairs, scores)
        return TwoStageCounts(
            t2v.over(t2v_counts(self.first, self.owners)),
            v2t.over(v2t_counts(self.first, self.owners, self.rule)),
            outside={"t2v": t2v.outside, "v2t": v2t.outside},
            wider={"t2v": t2v.wider, "v2t": v2t.wider},
        )

    def _t2v(self) -> Iterator[_Listed]:
        for rows in chunks(*self.first.shape):
            caption, video = np.nonzero(_candidates(np.asarray(self.first[rows]), self.k))
            caption += rows.start
            yield _plain(caption, self.owners[caption] == video, self._pair(caption, video))

    def _v2t(self) -> Iterator[_Listed]:
        """The candidates of the videos that have captions, a few videos at a time."""
        several = self.rule == "group-max" and not self.groups.single
        for part in chunks(len(self.groups.videos), len(self.owners)):
            strip = np.asarray(self.first[:, self.groups.videos[part]])
            items = self.groups.best(strip) if several else strip
            query, item = np.nonzero(_candidates(items.T, self.k))
            query += part.start
            video = self.groups.videos[query]
            if several:
                caption, at = self.groups.members(self.groups.videos[item])
                starts = np.searchsorted(at, np.arange(len(item)))
                right = self.groups.videos[item] == video
                yield _Listed(query, right, self._pair(caption, video[at]), starts)
            else:
                yield _plain(query, self.owners[item] == video, self._pair(item, video))

    def _pair(self, caption: Ints, video: Ints) -> Ints:
        return np.asarray(self.row[caption] * self.first.shape[1] + video)


def _candidates(scores: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Tell which items of each query [Q, N] fewer than k others beat: bool [Q, N]."""
    place = max(scores.shape[1] - k, 0)
    least = np.partition(scores, place, axis=1)[:, place]
    return np.asarray(scores >= least[:, None])


def _plain(query: Ints, right: NDArray[np.bool_], pairs: Ints) -> _Listed:
    """Candidates of one pair each."""
    return _Listed(query, right, pairs, np.arange(len(pairs)))


class _Second:
    """What the second stage says of Q queries."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._better, self._tied = np.zeros(queries, np.int64), np.zeros(queries, np.int64)
        self._size = np.zeros(queries, np.int64)
        self._inside = np.zeros(queries, bool)
        self._right = np.full(queries, np.nan)

    def read(self, listed: Iterator[_Listed], pairs: Ints, scores: NDArray[np.floating[Any]]) -> "_Second":
        """Take up the candidates of all queries, each query's at once."""
        queries, self._right = len(self._right), self._right.astype(scores.dtype)
        for part in listed:
            found = np.fmax.reduceat(scores[np.searchsorted(pairs, part.pairs)], part.starts)
            own = part.query[part.right]
            self._inside[own] = True
            np.fmax.at(self._right, own, found[part.right])
            limit = self._right[part.query]
            rivals = ~part.right
            self._better += _count(part.query[(found > limit) & rivals], queries)
            self._tied += _count(part.query[(found == limit) & rivals], queries)
            self._size += _count(part.query, queries)
        return self

    @property
    def outside(self) -> int:
        """How many queries have their right item among none of their candidates."""
        return int(np.count_nonzero(~self._inside))

    @property
    def wider(self) -> int:
        """How many queries have more than k candidates."""
        return int(np.count_nonzero(self._size > self._k))

    def over(self, first: Counts) -> Counts:
        """Return the counts of both stages: the first's where the right item is no candidate."""
        return Counts(
            better=np.where(self._inside, self._better, first.better),
            tied=np.where(self._inside, self._tied, first.tied),
            right=np.where(self._inside, self._right, first.right),
            nan_rivals=np.zeros_like(first.nan_rivals),
            nonfinite=0,
        )


def _count(queries: Ints, length: int) -> Ints:
    """How often each query stands there: int64 [length]."""
    return np.bincount(queries, minlength=length).astype(np.int64)


def second_scores(matrix: NDArray[Any], stages: TwoStages) -> NDArray[Any]:
    """Return what second-stage scores [T, V] give the pairs [P]; of equal texts the first row counts."""
    _, first_row = np.unique(stages.row, return_index=True)
    texts, videos = np.divmod(stages.pairs, stages.first.shape[1])
    return np.asarray(matrix[first_row[texts], videos])
