"""Measurements side by side: whether two scored the same queries, and their counts in one order."""

import numpy as np
from numpy.typing import NDArray

from xbench.errors import UsageError
from xbench.metrics.counts import Counts, Ints
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Record, unscored
from xbench.terms import Direction

_SHOWN = 5


def require_same_queries(first: Measurement, second: Measurement) -> None:
    """Raise UsageError, saying what differs, unless two runs scored the same queries."""
    reasons = why_not_the_same(first.record, second.record)
    if not reasons and not (
        _same(first.counts.caption_keys, second.counts.caption_keys)
        and _same(first.counts.video_keys, second.counts.video_keys)
    ):
        reasons = ["their per-query files hold other queries"]
    if reasons:
        raise UsageError(
            f"{first.file} and {second.file} cannot be compared: {'; '.join(reasons)}. Give two runs"
            " that scored the same captions and videos"
        )


def why_not_the_same(first: Record, second: Record) -> list[str]:
    """Return in what two records scored other queries or another gallery; empty when they did not."""
    reasons = []
    for name, one, other in (
        ("benchmark", first.benchmark, second.benchmark),
        ("protocol", _content(first), _content(second)),
        ("captions", first.protocol.fingerprint.captions, second.protocol.fingerprint.captions),
        ("videos", first.protocol.fingerprint.videos, second.protocol.fingerprint.videos),
        ("v2t rule", first.protocol.v2t, second.protocol.v2t),
        ("miniature", first.miniature, second.miniature),
    ):
        if one != other:
            reasons.append(f"{name}: {one} and {other}")
    if first.protocol.fingerprint.ids != second.protocol.fingerprint.ids:
        reasons.append("other videos (the fingerprints of the ids differ)")
    elif _text(first) != _text(second):
        reasons.append("other captions (the fingerprints of the text differ)")
    windows = {first.protocol.fingerprint.windows, second.protocol.fingerprint.windows} - {None}
    if len(windows) > 1:
        reasons.append("other seconds of the videos (the fingerprints of the windows differ)")
    reasons += _missing(first, second)
    if not reasons and first.videos.scored != second.videos.scored:
        reasons.append(f"videos scored: {first.videos.scored} and {second.videos.scored}")
    return reasons


def aligned(first: PerQuery, second: PerQuery, side: Direction) -> Counts:
    """Return the counts of `second` in the order of the queries of `first`."""
    counts: Counts = getattr(second, side)
    return counts.take(order_by(query_keys(first, side), query_keys(second, side)))


def query_keys(per_query: PerQuery, side: Direction) -> NDArray[np.uint64]:
    """Return the key of each query: of its caption, or of its video."""
    if side == "t2v":
        return per_query.caption_keys
    return per_query.video_keys[np.unique(per_query.caption_to_video)]


def _content(record: Record) -> str:
    """The protocol without the hash of own content: the fingerprints say which part of it differs."""
    return record.protocol.matched or f"{record.protocol.requested} (own content)"


def _text(record: Record) -> str:
    return record.protocol.fingerprint.pairs_ws_normalised_sorted


def _missing(first: Record, second: Record) -> list[str]:
    only = [
        (name, sorted(unscored(one) - unscored(other)))
        for name, one, other in (("first", first, second), ("second", second, first))
    ]
    return [
        f"{len(videos)} videos not scored in the {name} only: {', '.join(videos[:_SHOWN])}"
        + (", ..." if len(videos) > _SHOWN else "")
        for name, videos in only
        if videos
    ]


def _same(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> bool:
    return np.array_equal(np.sort(first), np.sort(second))


def order_by(wanted: NDArray[np.uint64], given: NDArray[np.uint64]) -> Ints:
    """Return indices into `given` that put it in the order of `wanted`; equal keys are equal queries."""
    order = np.empty(len(wanted), dtype=np.int64)
    order[np.argsort(wanted, kind="stable")] = np.argsort(given, kind="stable")
    return order
