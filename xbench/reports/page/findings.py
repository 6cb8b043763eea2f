"""What a report shows of a run: recall curves, where ranks lie, both directions together, queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.metrics.counts import Counts, Ints, rank_queries
from xbench.metrics.dsl import DualSoftmax, dsl_counts
from xbench.metrics.intervals import intervals
from xbench.metrics.measures.recall import Recall
from xbench.metrics.neighbours import top_columns
from xbench.metrics.ranking import chunks, t2v_counts
from xbench.reports.page.charts import Line
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import clusters_of
from xbench.reports.record.schema import DIRECTIONS
from xbench.terms import Direction

SHOWN_QUERIES = 20
SHOWN_WRONG = 5
_CURVE_POINTS = 24
_RESAMPLES = 2000
_SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Material:
    """What a report may show beyond the record, in the order of the run's queries; None where not at hand.

    similarity: [T, V]. captions: T texts. video_ids: V ids. thumbnails: JPEG bytes by video index.
    missing: what is not at hand and how to get it, one sentence each.
    """

    similarity: NDArray[np.floating] | None = None
    captions: Sequence[str] | None = None
    video_ids: Sequence[str] | None = None
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """One caption's outcome. wrong: the highest-scored wrong videos as (video index, score)."""

    index: int
    video: int
    rank: float
    score: float
    wrong: tuple[tuple[int, float], ...]

    @property
    def rank_text(self) -> str:
        """The rank, a whole number unless it is tied."""
        return f"{self.rank:,.0f}" if self.rank == int(self.rank) else f"{self.rank:,.1f} (tied)"


def curves(measured: Measurement) -> list[Line]:
    """Return recall at K for both directions, with 95% bands."""
    return [_curve(measured, side) for side in DIRECTIONS if side in measured.record.metrics]


def rank_shares(measured: Measurement) -> tuple[list[str], list[tuple[str, list[float]]]]:
    """Return bins of ranks and, for each direction, the percentage of queries in each."""
    ranks = {side: mean_ranks(getattr(measured.counts, side)) for side in DIRECTIONS}
    edges = _edges(max(float(np.nanmax(each)) for each in ranks.values()))
    return _labels(edges), [(side, _shares(each, edges)) for side, each in ranks.items()]


def both_directions(measured: Measurement) -> tuple[list[str], list[list[float]]]:
    """Return bins of ranks and the percentage of videos by (v2t bin, t2v bin).

    A video's t2v rank is the median over its captions.
    """
    t2v, v2t = mean_ranks(measured.counts.t2v), mean_ranks(measured.counts.v2t)
    videos = np.unique(measured.counts.caption_to_video)
    of_video = np.array([np.median(t2v[measured.counts.caption_to_video == video]) for video in videos])
    kept = np.isfinite(of_video) & np.isfinite(v2t)
    edges = _edges(float(max(of_video[kept].max(), v2t[kept].max())))
    counts, _, _ = np.histogram2d(v2t[kept], of_video[kept], bins=[edges, edges])
    return _labels(edges), (100 * counts / kept.sum()).tolist()


def require_own_matrix(measured: Measurement, similarity: NDArray[np.floating]) -> None:
    """Raise DataError unless a matrix gives exactly the counts of the run."""
    wanted = (len(measured.counts.t2v), len(measured.counts.video_keys))
    if similarity.shape != wanted:
        raise DataError(
            f"the similarity has shape {similarity.shape}, the result is over {wanted}: give the one that"
            " the run saved"
        )
    if measured.record.reranked is not None:
        raise DataError(
            f"the ranks of {measured.file} are of two stages, the second of which scored some pairs only: no"
            " matrix gives them. Leave the similarity out"
        )
    if measured.record.post_processing == "qbnorm":
        raise DataError(
            f"the ranks of {measured.file} need the bank of its QB-Norm beside the similarity:"
            " report the raw result"
        )
    owner = measured.counts.caption_to_video
    processed = measured.record.post_processing == "dsl"
    found = dsl_counts(similarity, owner, force=True)[0] if processed else t2v_counts(similarity, owner)
    if not np.array_equal(found.better, measured.counts.t2v.better):
        raise DataError(
            f"the similarity is not the one that {measured.file} was made from, its ranks are others: give"
            " the one that the run saved"
        )


def shown_queries(
    measured: Measurement, similarity: NDArray[np.floating] | None
) -> tuple[list[Query], list[Query]]:
    """Return the 20 worst captions, worst first, and 20 random ones."""
    ranks = mean_ranks(measured.counts.t2v)
    known = np.flatnonzero(np.isfinite(ranks))
    worst = known[np.argsort(-ranks[known], kind="stable")][:SHOWN_QUERIES]
    some = np.random.default_rng(_SEED).choice(known, min(SHOWN_QUERIES, len(known)), replace=False)
    return _queries(measured, ranks, worst, similarity), _queries(measured, ranks, np.sort(some), similarity)


def mean_ranks(counts: Counts) -> Floats:
    """Return each query's rank, the mean over its ties, 1-based; NaN where the right score is not finite."""
    ranks = counts.better + 1 + counts.tied / 2
    return np.where(np.isfinite(counts.right), ranks, np.nan)


def _curve(measured: Measurement, side: Direction) -> Line:
    counts: Counts = getattr(measured.counts, side)
    clusters = clusters_of(measured.counts, side)
    ranked = rank_queries(counts, measured.record.ties.policy, as_torch=clusters is not None)
    gallery = len(measured.counts.video_keys) if side == "t2v" else _text_gallery(measured)
    ks = np.unique(np.geomspace(1, max(gallery, 1), _CURVE_POINTS).round().astype(int)).tolist()
    measures = [Recall(k) for k in ks]
    bands = intervals(ranked, measures, clusters, resamples=_RESAMPLES)
    return Line(
        side,
        x=ks,
        y=[measure.aggregate(ranked) for measure in measures],
        low=[bands[measure].low for measure in measures],
        high=[bands[measure].high for measure in measures],
    )


def _text_gallery(measured: Measurement) -> int:
    any_caption = measured.record.protocol.v2t == "any-caption"
    return len(measured.counts.t2v) if any_caption else len(measured.counts.v2t)


_STARTS = [1, 2, 4, 6, 11, 21, 51, 101, 201, 501, 1001, 2001, 5001, 10_001, 20_001, 50_001, 100_001]


def _edges(last: float) -> list[float]:
    """Bin edges up to the last rank; half a rank before each start, so that 1.5 is no longer rank 1."""
    kept = [start for start in _STARTS if start - 0.5 <= last]
    end = next((start for start in _STARTS if start - 0.5 > last), last + 1)
    return [start - 0.5 for start in [*kept, end]]


def _labels(edges: Sequence[float]) -> list[str]:
    starts = [int(edge + 0.5) for edge in edges]
    ends = [start - 1 for start in starts[1:]]
    return [f"{a}" if a >= b else f"{a}-{b}" for a, b in zip(starts[:-1], ends, strict=True)]


def _shares(ranks: Floats, edges: Sequence[float]) -> list[float]:
    known = ranks[np.isfinite(ranks)]
    counts, _ = np.histogram(known, bins=np.asarray(edges))
    return [float(share) for share in 100 * counts / max(len(known), 1)]


def _queries(
    measured: Measurement, ranks: Floats, indices: Ints, similarity: NDArray[np.floating] | None
) -> list[Query]:
    owners = measured.counts.caption_to_video[indices]
    wrong = [()] * len(indices) if similarity is None else wrong_videos(measured, indices, similarity)
    scores = measured.counts.t2v.right[indices]
    return [
        Query(int(index), int(video), float(ranks[index]), float(score), found)
        for index, video, score, found in zip(indices, owners, scores, wrong, strict=True)
    ]


def _scores(measured: Measurement, indices: Ints, similarity: NDArray[np.floating]) -> NDArray[np.floating]:
    """The scores of some captions with all videos, as the run ranked them."""
    rows = np.asarray(similarity[indices])
    if measured.record.post_processing != "dsl":
        return rows
    captions, videos = similarity.shape
    softmax = DualSoftmax(captions, videos)
    for chunk in chunks(captions, videos):
        softmax.add(similarity[chunk], chunk, slice(0, videos))
    return softmax.t2v(rows, slice(0, videos))


def wrong_videos(
    measured: Measurement, captions: Ints, similarity: NDArray[np.floating]
) -> list[tuple[tuple[int, float], ...]]:
    """Return the closest wrong videos of some captions, as (video index, score)."""
    return _wrong(_scores(measured, captions, similarity), measured.counts.caption_to_video[captions])


def wrong_captions(
    measured: Measurement, queries: Ints, similarity: NDArray[np.floating]
) -> list[tuple[tuple[int, float], ...]]:
    """Return the closest captions of other videos for some video-to-text queries: (caption index, score)."""
    owners = measured.counts.caption_to_video
    found = []
    for video in np.unique(owners)[queries]:
        scores = np.array(similarity[:, video], dtype=np.float64)  # a copy: the file is read only
        scores[owners == video] = -np.inf
        order = np.argsort(-scores, kind="stable")[:SHOWN_WRONG]
        found.append(tuple((int(row), float(scores[row])) for row in order if np.isfinite(scores[row])))
    return found


def _wrong(rows: NDArray[np.floating], owners: Ints) -> list[tuple[tuple[int, float], ...]]:
    """The highest-scored columns of each row without its right one."""
    top = top_columns(rows, SHOWN_WRONG + 1)
    return [
        tuple((int(video), float(row[video])) for video in found if video != owner)[:SHOWN_WRONG]
        for row, found, owner in zip(rows, top, owners, strict=True)
    ]
