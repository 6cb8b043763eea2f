"""What was retrieved: the items that a query's scores put first, as the run ranked them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ints
from xbench.metrics.dsl import DualSoftmax
from xbench.metrics.neighbours import top_columns
from xbench.metrics.ranking import chunks
from xbench.reports.record.files import Measurement
from xbench.terms import Direction

FIRST = 5
"""Items of a query that are shown."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Retrieved:
    """The first items of all queries of a direction: int64 [Q, k], and their scores [Q, k], best first.

    Videos for captions; captions for videos. k: `FIRST`, or all there are.
    """

    items: Ints
    scores: Floats


def first_items(measured: Measurement, similarity: NDArray[np.floating], side: Direction) -> Retrieved:
    """Return what every query of a direction retrieves first. similarity: [T, V], may be memory-mapped."""
    items, values = [], []
    for scores in _blocks(measured, similarity, side):
        items.append(top_columns(scores, FIRST))
        values.append(np.take_along_axis(scores, items[-1], axis=1).astype(np.float64))
    return Retrieved(np.concatenate(items), np.concatenate(values))


def _blocks(
    measured: Measurement, similarity: NDArray[np.floating], side: Direction
) -> Iterator[NDArray[np.floating]]:
    """The scores of the queries of a direction, some at a time: [q, items]."""
    captions, videos = similarity.shape
    softmax = _softmax(measured, similarity)
    if side == "t2v":
        for rows in chunks(captions, videos):
            scores = np.asarray(similarity[rows])
            yield scores if softmax is None else softmax.t2v(scores, slice(0, videos))
        return
    asked = np.unique(measured.counts.caption_to_video)
    for part in chunks(len(asked), captions):
        scores = np.asarray(similarity[:, asked[part]])
        yield (scores if softmax is None else softmax.v2t(scores, slice(0, captions))).T


def _softmax(measured: Measurement, similarity: NDArray[np.floating]) -> DualSoftmax | None:
    """What the run reweighted its scores by; None where they are as the scorer gave them."""
    if measured.record.post_processing != "dsl":
        return None
    captions, videos = similarity.shape
    softmax = DualSoftmax(captions, videos)
    for chunk in chunks(captions, videos):
        softmax.add(similarity[chunk], chunk, slice(0, videos))
    return softmax


def wrong_videos(
    measured: Measurement, captions: Ints, similarity: NDArray[np.floating]
) -> list[tuple[tuple[int, float], ...]]:
    """Return the closest wrong videos of some captions, as (video index, score)."""
    rows = np.asarray(similarity[captions])
    softmax = _softmax(measured, similarity)
    if softmax is not None:
        rows = softmax.t2v(rows, slice(0, rows.shape[1]))
    owners = measured.counts.caption_to_video[captions]
    return [
        tuple((int(video), float(row[video])) for video in found if video != owner)[:FIRST]
        for row, found, owner in zip(rows, top_columns(rows, FIRST + 1), owners, strict=True)
    ]


def wrong_captions(
    measured: Measurement, queries: Ints, similarity: NDArray[np.floating]
) -> list[tuple[tuple[int, float], ...]]:
    """Return the closest captions of other videos for some video-to-text queries: (caption index, score)."""
    owners = measured.counts.caption_to_video
    found = []
    for video in np.unique(owners)[queries]:
        scores = np.array(similarity[:, video], dtype=np.float64)  # a copy: the file is read only
        scores[owners == video] = -np.inf
        order = np.argsort(-scores, kind="stable")[:FIRST]
        found.append(tuple((int(row), float(scores[row])) for row in order if np.isfinite(scores[row])))
    return found
