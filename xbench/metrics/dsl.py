"""Dual softmax: post-processing that looks at the whole test set, in two passes over the matrix.

A score is multiplied by how strongly its item prefers its query to all other queries: in text-to-video
S * softmax of S over the captions, in video-to-text S * softmax of S over the videos (CAMoE,
arXiv:2109.04290, with the temperature 1 that its authors use at inference). S is the similarity as the scorer
gives it, logit scale included. The prior is that every item belongs to exactly one query of the test set,
which no user of a search engine has; published tables hold such numbers, so they can be reproduced, always
marked.
"""

import numpy as np
from numpy.typing import NDArray

from xbench.errors import UsageError
from xbench.metrics.counts import Array, Counts, Ints, to_numpy
from xbench.metrics.ranking import CaptionGroups, check_sizes, chunks, count_block, v2t_strip_counts
from xbench.terms import V2TRule

Floats = NDArray[np.float64]


class DualSoftmax:
    """The softmax denominators of a T x V matrix, added up over its tiles in any order; then the reweighting.

    First `add` every tile once, then `t2v` or `v2t` any tile. Memory: O(T + V) and a copy of one tile.
    """

    def __init__(self, captions: int, videos: int) -> None:
        """captions: T, videos: V."""
        self._over_captions = _LogSum(videos)
        self._over_videos = _LogSum(captions)

    def add(self, tile: Array, rows: slice, columns: slice) -> None:
        """Take in the scores [t, v] of the captions `rows` and the videos `columns`."""
        scores = _scores(tile)
        self._over_captions.add(scores.T, columns)
        self._over_videos.add(scores, rows)

    def t2v(self, tile: Array, columns: slice) -> Floats:
        """Reweight scores [t, v] of the videos `columns` for ranking videos: float64 [t, v]."""
        return _reweighted(_scores(tile), self._over_captions.total(columns))

    def v2t(self, tile: Array, rows: slice) -> Floats:
        """Reweight scores [t, v] of the captions `rows` for ranking captions: float64 [t, v]."""
        return _reweighted(_scores(tile), self._over_videos.total(rows)[:, None])


def dsl_counts(
    similarity: Array, caption_to_video: Ints, rule: V2TRule = "group-max", *, force: bool = False
) -> tuple[Counts, Counts]:
    """Rank both ways after dual softmax, in chunks: returns the (t2v, v2t) counts.

    similarity: [T, V]; caption_to_video: int64 [T]; rule: see `v2t_strip_counts`. Raises UsageError where a
    video has several captions or none, unless it is forced, DataError for sizes that do not go together.
    """
    check_sizes(similarity, caption_to_video)
    captions, videos = similarity.shape
    if not force:
        require_one_to_one(caption_to_video, videos)
    softmax, groups = DualSoftmax(captions, videos), CaptionGroups(caption_to_video)
    everything = slice(0, captions)
    for rows in chunks(captions, videos):
        softmax.add(similarity[rows], rows, slice(0, videos))
    t2v = [
        count_block(softmax.t2v(similarity[rows], slice(0, videos)), caption_to_video[rows])
        for rows in chunks(captions, videos)
    ]
    v2t = [
        v2t_strip_counts(
            softmax.v2t(similarity[:, strip], everything), np.arange(strip.start, strip.stop), groups, rule
        )
        for strip in chunks(videos, captions)
    ]
    return Counts.concatenate(t2v), Counts.concatenate(v2t)


def is_one_to_one(caption_to_video: Ints, videos: int) -> bool:
    """Whether every video has exactly one caption."""
    return np.array_equal(np.sort(caption_to_video), np.arange(videos))


def require_one_to_one(caption_to_video: Ints, videos: int) -> None:
    """Raise UsageError unless every video has exactly one caption: anything else makes the prior false."""
    if not is_one_to_one(caption_to_video, videos):
        raise UsageError(
            "--post dsl assumes that each video belongs to exactly one caption; here are"
            f" {len(caption_to_video)} captions of {videos} videos, so its numbers would mean nothing."
            " Leave it out, or give --force to reproduce published numbers, which the record says"
        )


class _LogSum:
    """log of a sum of exponentials per item, over blocks: the largest score so far and the sum below it."""

    def __init__(self, items: int) -> None:
        self._largest = np.full(items, -np.inf)
        self._sum = np.zeros(items)

    def add(self, scores: Floats, items: slice) -> None:
        """scores: [items, n]."""
        old = self._largest[items]
        new = np.maximum(old, scores.max(axis=1))
        with np.errstate(invalid="ignore"):  # see _reweighted
            kept = np.where(self._sum[items] > 0, self._sum[items] * np.exp(old - new), 0.0)
            self._sum[items] = kept + np.exp(scores - new[:, None]).sum(axis=1)
        self._largest[items] = new

    def total(self, items: slice) -> Floats:
        total: Floats = self._largest[items] + np.log(self._sum[items])
        return total


def _reweighted(scores: Floats, log_sums: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # NaN and infinite scores go through, to be counted and refused
        reweighted: Floats = scores * np.exp(scores - log_sums)
    return reweighted


def _scores(tile: Array) -> Floats:
    """One layout for every tile, so that the same score always gives the same product."""
    return np.ascontiguousarray(to_numpy(tile), dtype=np.float64)
