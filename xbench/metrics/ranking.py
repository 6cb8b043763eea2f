"""From a matrix of scores, whole or in blocks, to the counts of every query in both directions."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError, ModelError
from xbench.metrics.counts import (
    Array,
    Counts,
    Ints,
    as_kind,
    compare,
    count_nonfinite,
    is_nan,
    pick,
    row_sums,
    settle,
    to_numpy,
)
from xbench.terms import V2TRule


class CaptionGroups:
    """The captions of each video that has any; made once per split, used for every strip of the matrix.

    `videos`: int64 [G], the sorted indices of the videos that have captions; `sizes`: how many each has.
    """

    def __init__(self, caption_to_video: Ints) -> None:
        """caption_to_video: int64 [T], the index of each caption's video, in any order."""
        self.videos, self._group, self.sizes = np.unique(
            caption_to_video, return_inverse=True, return_counts=True
        )
        self._order = np.argsort(self._group, kind="stable")
        self._starts = np.cumsum(self.sizes) - self.sizes

    @property
    def captions(self) -> int:
        """The number of captions T."""
        return len(self._group)

    @property
    def single(self) -> bool:
        """Whether no video has two captions."""
        return len(self.videos) == self.captions

    @cached_property
    def _sorted(self) -> bool:
        return bool((np.diff(self._group) >= 0).all())

    def positions(self, videos: Ints) -> Ints:
        """Return the group of each of `videos`, all of which must have captions: int64 [v]."""
        return np.searchsorted(self.videos, videos).astype(np.int64)

    def members(self, videos: Ints) -> tuple[Ints, Ints]:
        """Return (caption, position in `videos`) of every caption of `videos`, ordered by position."""
        groups = self.positions(videos)
        sizes = self.sizes[groups]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._order[np.repeat(self._starts[groups], sizes) + within], np.repeat(
            np.arange(len(videos)), sizes
        )

    def largest(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the largest [G] of the scores [T] of each video's captions, NaN where all are."""
        return np.asarray(np.fmax.reduceat(scores[self._order], self._starts))

    def best(self, strip: Array) -> Array:
        """Reduce captions to their videos by the maximum: [T, v] -> [G, v], NaN as minus infinity."""
        if isinstance(strip, np.ndarray):
            ordered = strip if self._sorted else strip[self._order]
            best = np.fmax.reduceat(ordered, self._starts, axis=0)
            if best.dtype.kind == "f":  # integers know neither NaN nor infinity
                best[np.isnan(best)] = -np.inf
            return best
        index = as_kind(self._group, strip)[:, None].expand_as(strip)
        known = strip.masked_fill(is_nan(strip), -float("inf")) if strip.is_floating_point() else strip
        best = strip.new_zeros((len(self.videos), strip.shape[1]))
        return best.scatter_reduce_(0, index, known, "amax", include_self=False)


__all__ = ["Counts", "Tally", "count_block", "t2v_counts", "v2t_counts", "v2t_strip_counts"]


_CHUNK = 1 << 22
"""Scores looked at in one go by the full-matrix helpers: 4 MB per mask."""


class Tally:
    """Adds up the counts of Q queries over blocks of the gallery, on the device of the scores.

    The right items' scores must be known before the first block and must come from the same tiles, because
    float products change in the last bit with a tile's shape. `counts` refuses when a right item had another
    score in its block.
    """

    def __init__(self, right: Array) -> None:
        """Start with the score of each query's right item, [Q]."""
        self._right = right = settle(right)
        zero = is_nan(right) * 0
        self._better, self._tied, self._nan = zero + 0, zero + 0, zero + 0
        self._nonfinite, self._unequal = zero.sum(), zero.sum()

    def add(self, scores: Array, own: Array, rows: slice = slice(None)) -> None:
        """Count one block.

        scores: [q, n], the queries `rows` against n items of the gallery. own: int64 [q], array or tensor
        like the scores, the column of each query's right item in this block, -1 where it is in another block.
        """
        scores, own, right = settle(scores), settle(own), self._right[rows]
        here = (own >= 0) * 1
        at_own = pick(scores, own * here)
        both_nan = is_nan(at_own) & is_nan(right)
        better, equal, finite = compare(scores, right)
        self._better[rows] += better
        self._tied[rows] += equal - here * (at_own == right)
        if not finite:
            self._nan[rows] += row_sums(is_nan(scores)) - here * is_nan(at_own)
            self._nonfinite = self._nonfinite + count_nonfinite(scores)
        self._unequal = self._unequal + (here * ~((at_own == right) | both_nan)).sum()

    def counts(self) -> Counts:
        """Return what was counted. Raises ModelError when a right item had another score in its block."""
        if unequal := int(self._unequal):
            raise ModelError(
                f"{unequal} pairs of a caption and its video were scored twice, with two outcomes: the"
                " scorer's similarity must depend on the features alone (no dropout, no random numbers)"
            )
        return Counts(
            better=to_numpy(self._better),
            tied=to_numpy(self._tied),
            right=to_numpy(self._right),
            nan_rivals=to_numpy(self._nan),
            nonfinite=int(self._nonfinite),
        )


def count_block(scores: Array, own: Array) -> Counts:
    """Count queries against a whole gallery. scores: [Q, N]; own: int64 [Q], the right items' columns."""
    tally = Tally(pick(scores, own))
    tally.add(scores, own)
    return tally.counts()


def t2v_counts(similarity: Array, caption_to_video: Ints) -> Counts:
    """Rank the videos for each caption, counting in chunks of rows.

    similarity: [T, V], rows captions. caption_to_video: int64 [T], the right column of each row. Extra
    memory: a few masks of one chunk. Raises DataError when the sizes do not go together.
    """
    similarity = settle(similarity)
    check_sizes(similarity, caption_to_video)
    if isinstance(similarity, np.ndarray):
        return count_block(similarity, caption_to_video)
    return Counts.concatenate(
        [
            count_block(similarity[rows], as_kind(caption_to_video[rows], similarity))
            for rows in chunks(len(caption_to_video), similarity.shape[1])
        ]
    )


def v2t_counts(similarity: Array, caption_to_video: Ints, rule: V2TRule = "group-max") -> Counts:
    """Rank the captions for each video that has one, in video order, counting in strips of columns.

    similarity: [T, V]; caption_to_video: int64 [T]; rule: see `v2t_strip_counts`. Extra memory: that of one
    strip. Raises DataError when the sizes do not go together.
    """
    similarity = settle(similarity)
    check_sizes(similarity, caption_to_video)
    groups = CaptionGroups(caption_to_video)
    videos = np.arange(similarity.shape[1])
    if groups.single and len(groups.videos) == len(videos) and isinstance(similarity, np.ndarray):
        return v2t_strip_counts(
            similarity, videos, groups, rule
        )  # takes little memory, and no strips is faster
    return Counts.concatenate(
        [
            v2t_strip_counts(similarity[:, columns], videos[columns], groups, rule)
            for columns in chunks(len(videos), len(caption_to_video))
        ]
    )


def v2t_strip_counts(
    strip: Array, videos: Ints, groups: CaptionGroups, rule: V2TRule = "group-max"
) -> Counts:
    """Rank the captions for a few videos: the unit of work of a streamed video-to-text ranking.

    strip: [T, v], every caption against v videos. videos: int64 [v], their indices. Returns the counts of
    those of them that have a caption, in order.

    `group-max`: a video is ranked against each video's best caption (published metrics.py,
    `tensor_video_to_text_sim`; NaN becomes minus infinity there, so `nan_rivals` is 0 when a video has
    several captions). `any-caption`: a video's best caption is ranked against all captions of other videos,
    so rank 1 means that one of its own comes first. With one caption per video both are the plain ranking.
    """
    strip = settle(strip)
    asked = np.isin(videos, groups.videos)
    if not asked.all():
        strip, videos = strip[:, as_kind(asked, strip)], videos[asked]
    if groups.single:
        return count_block(strip.T, as_kind(groups.members(videos)[0], strip))
    if rule == "any-caption":
        return _any_caption_counts(strip, *groups.members(videos))
    counts = count_block(groups.best(strip).T, as_kind(groups.positions(videos), strip))
    return replace(counts, nonfinite=int(count_nonfinite(strip)))


def _any_caption_counts(strip: Array, rows: Ints, columns: Ints) -> Counts:
    own = to_numpy(strip[as_kind(rows, strip), as_kind(columns, strip)])
    sizes = np.bincount(columns, minlength=strip.shape[1])
    right = np.fmax.reduceat(own, np.cumsum(sizes) - sizes) if len(own) else own
    own_tied = np.bincount(columns[own == right[columns]], minlength=len(right))
    own_nan = np.bincount(columns[np.isnan(own)], minlength=len(right))
    better, equal, _ = compare(strip.T, as_kind(right, strip))
    return Counts(
        better=to_numpy(better),
        tied=to_numpy(equal) - own_tied,
        right=right,
        nan_rivals=to_numpy(row_sums(is_nan(strip).T)) - own_nan,
        nonfinite=int(count_nonfinite(strip)),
    )


def check_sizes(similarity: Array, caption_to_video: Ints) -> None:
    """Raise DataError unless the similarity is [T, V] for these T captions and their videos."""
    captions, (rows, columns) = len(caption_to_video), similarity.shape
    if captions != rows or not captions:
        raise DataError(
            f"the similarity has {rows} rows and there are {captions} captions: give one row for each"
        )
    if caption_to_video.min() < 0 or caption_to_video.max() >= columns:
        raise DataError(
            f"the similarity has {columns} columns, but captions belong to videos"
            f" {caption_to_video.min()} to {caption_to_video.max()}: give one column for each, counted from 0"
        )


def chunks(length: int, width: int) -> Iterator[slice]:
    """Cut `length` rows (or columns) of `width` scores each into pieces that fit the caches."""
    step = max(1, _CHUNK // max(1, width))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
