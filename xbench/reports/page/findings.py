"""What a report shows of a run: recall curves, where ranks lie, both directions together, queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.metrics.counts import Counts, Ints, rank_queries
from xbench.metrics.dsl import dsl_counts
from xbench.metrics.intervals import intervals
from xbench.metrics.measures.recall import Recall
from xbench.metrics.ranking import t2v_counts
from xbench.reports.page.charts import Line
from xbench.reports.page.retrieved import Floats, Retrieved, first_items
from xbench.reports.page.why import Why
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import clusters_of
from xbench.reports.record.schema import DIRECTIONS
from xbench.terms import Direction

SHOWN_QUERIES = 20
_CURVE_POINTS = 24
_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True)
class Strip:
    """Some of the frames of a video that were scored, side by side: one JPEG of their centres.

    seconds: when each was taken. frames: how many were scored; None where no record tells which were.
    """

    jpeg: bytes
    seconds: tuple[float, ...]
    frames: int | None


@dataclass(frozen=True, eq=False)
class Material:
    """What a report may show beyond the record, in the order of the run's queries; None where not at hand.

    similarity: [T, V]. captions: T texts. video_ids: V ids. strips: by video index. explained: why some
    pairs have their scores. missing: what is not at hand and how to get it, one sentence each.
    """

    similarity: NDArray[np.floating] | None = None
    captions: Sequence[str] | None = None
    video_ids: Sequence[str] | None = None
    strips: Mapping[int, Strip] = field(default_factory=dict)
    explained: Sequence[Why] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Outcomes:
    """How a run did on all queries of a direction, and what it retrieved for them, where that is at hand."""

    ranks: Floats
    tied: Ints
    scores: Floats
    first: Retrieved | None

    @classmethod
    def of(cls, counts: Counts, first: Retrieved | None) -> "Outcomes":
        """Those of counts."""
        return cls(mean_ranks(counts), counts.tied, counts.right.astype(np.float64), first)


def outcomes_of(measured: Measurement, similarity: NDArray[np.floating] | None) -> dict[Direction, Outcomes]:
    """Return those of a run in both directions."""
    return {
        side: Outcomes.of(
            getattr(measured.counts, side),
            None if similarity is None else first_items(measured, similarity, side),
        )
        for side in DIRECTIONS
    }


@dataclass(frozen=True)
class Found:
    """An item that a query retrieved, and whether it is a right one."""

    item: int
    score: float
    right: bool


@dataclass(frozen=True)
class Query:
    """A query's outcome. index: among those of its direction. video: the right one, or the query itself.

    score: of the right item, of the best of several. first: what was retrieved, best first; empty where the
    matrix is not at hand.
    """

    index: int
    video: int
    rank: float
    score: float
    first: tuple[Found, ...]

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
    edges = _edges(max(float(np.nanmax(each)) for each in ranks.values()), gallery_of(measured))
    return _labels(edges), [(side, _shares(each, edges)) for side, each in ranks.items()]


def shares_beside(runs: Sequence[Measurement], side: Direction) -> tuple[list[str], list[list[float]]]:
    """Return bins of ranks in a direction, and for each run the percentage of queries in each."""
    ranks = [mean_ranks(getattr(run.counts, side)) for run in runs]
    edges = _edges(max(float(np.nanmax(each)) for each in ranks), gallery_of(runs[0]))
    return _labels(edges), [_shares(each, edges) for each in ranks]


def both_directions(measured: Measurement) -> tuple[list[str], list[list[float]]]:
    """Return bins of ranks and the percentage of videos by (v2t bin, t2v bin).

    A video's t2v rank is the median over its captions.
    """
    t2v, v2t = mean_ranks(measured.counts.t2v), mean_ranks(measured.counts.v2t)
    videos = np.unique(measured.counts.caption_to_video)
    of_video = np.array([np.median(t2v[measured.counts.caption_to_video == video]) for video in videos])
    return rank_grid(of_video, v2t, gallery_of(measured))


def rank_grid(across: Floats, down: Floats, gallery: int) -> tuple[list[str], list[list[float]]]:
    """Return bins of ranks and the percentage of items by (bin of `down`, bin of `across`)."""
    kept = np.isfinite(across) & np.isfinite(down)
    edges = _edges(float(max(across[kept].max(initial=1), down[kept].max(initial=1))), gallery)
    counts, _, _ = np.histogram2d(down[kept], across[kept], bins=[edges, edges])
    return _labels(edges), (100 * counts / max(kept.sum(), 1)).tolist()


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
    measured: Measurement, outcomes: Outcomes, side: Direction
) -> tuple[list[Query], list[Query]]:
    """Return the 20 worst queries of a direction, worst first, and 20 random ones."""
    known = np.flatnonzero(np.isfinite(outcomes.ranks))
    worst = known[np.argsort(-outcomes.ranks[known], kind="stable")][:SHOWN_QUERIES]
    some = np.random.default_rng(_SEED).choice(known, min(SHOWN_QUERIES, len(known)), replace=False)
    return query_list(measured, worst, outcomes, side), query_list(measured, np.sort(some), outcomes, side)


def videos_shown(shown: Mapping[Direction, tuple[list[Query], list[Query]]]) -> list[int]:
    """Return the videos of which a page shows pictures: those of its queries, then what captions retrieve."""
    queries = {side: [query for each in lists for query in each] for side, lists in shown.items()}
    own = [query.video for each in queries.values() for query in each]
    return list(dict.fromkeys([*own, *(found.item for query in queries["t2v"] for found in query.first)]))


def query_list(measured: Measurement, indices: Ints, outcomes: Outcomes, side: Direction) -> list[Query]:
    """Return some queries of a direction; outcomes: of a run, in the order of the queries of `measured`."""
    owners, videos = measured.counts.caption_to_video, videos_of(measured, side)
    first, found = outcomes.first, []
    for index in indices.tolist():
        video, items = int(videos[index]), [] if first is None else first.items[index].tolist()
        own = [bool((item if side == "t2v" else owners[item]) == video) for item in items]
        scores = [] if first is None else first.scores[index].tolist()
        seen = tuple(Found(*each) for each in zip(items, scores, own, strict=True))
        found.append(Query(index, video, float(outcomes.ranks[index]), float(outcomes.scores[index]), seen))
    return found


def videos_of(measured: Measurement, side: Direction) -> Ints:
    """Return the video of each query of a direction."""
    owners = measured.counts.caption_to_video
    return owners if side == "t2v" else np.unique(owners)


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


def gallery_of(measured: Measurement) -> int:
    """Return the largest rank that there can be."""
    return max(len(measured.counts.video_keys), _text_gallery(measured))


def _text_gallery(measured: Measurement) -> int:
    any_caption = measured.record.protocol.v2t == "any-caption"
    return len(measured.counts.t2v) if any_caption else len(measured.counts.v2t)


_STARTS = [1, 2, 4, 6, 11, 21, 51, 101, 201, 501, 1001, 2001, 5001, 10_001, 20_001, 50_001, 100_001]


def _edges(last: float, gallery: int) -> list[float]:
    """Bin edges up to the last rank, none beyond the gallery.

    Half a rank before each start, so that 1.5 is no longer rank 1.
    """
    kept = [start for start in _STARTS if start - 0.5 <= last]
    end = next((start for start in _STARTS if start - 0.5 > last), last + 1)
    return [start - 0.5 for start in [*kept, min(end, gallery + 1)]]


def _labels(edges: Sequence[float]) -> list[str]:
    starts = [int(edge + 0.5) for edge in edges]
    ends = [start - 1 for start in starts[1:]]
    return [f"{a}" if a >= b else f"{a}-{b}" for a, b in zip(starts[:-1], ends, strict=True)]


def _shares(ranks: Floats, edges: Sequence[float]) -> list[float]:
    known = ranks[np.isfinite(ranks)]
    counts, _ = np.histogram(known, bins=np.asarray(edges))
    return [float(share) for share in 100 * counts / max(len(known), 1)]
