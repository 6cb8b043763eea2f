"""Whether a record agrees with itself, with its per-query counts, and with the protocol that it names.

A record is believed as far as its counts give the same numbers. What was made by the rules of its time and is
judged otherwise today is no contradiction: it becomes a reason against comparing.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from xbench.errors import DataError
from xbench.metrics.chance import against_chance
from xbench.metrics.counts import Counts, Ints, Ranked, rank_queries
from xbench.metrics.intervals import UnitSums
from xbench.metrics.measures import Measure, parse_measure
from xbench.registry.datasets import CUSTOM, protocols
from xbench.reports.record.per_query import PerQuery, clusters_of
from xbench.reports.record.schema import (
    Metric,
    Record,
    Reranked,
    is_of_own_benchmark,
    scoring_reasons,
    unscored,
)
from xbench.terms import Direction, Ties

_SHOWN = 3
_SIDES = 2
"""Captions and videos: a matrix with ids for both has no order to be wrong."""
_SAME = 1e-6
"""Relative difference that another version of NumPy or another machine may make."""
_ROUNDED = 1e-4
"""How far a float32 value may stand outside limits in float64."""
_TIMES = 3.0
"""How much wider or narrower than 1.96 standard errors an honest bootstrap interval may be."""


def require_agreement(record: Record, per_query: PerQuery | None, name: str) -> None:
    """Raise DataError, naming both values, where a record contradicts itself, its counts or its protocol.

    per_query: None where the counts are not at hand; then the rest is checked. name: of the file.
    """
    found = list(islice(_contradictions(record, per_query), _SHOWN))
    if found:
        raise DataError(
            f"{name} contradicts itself, so none of it is believed: {'; '.join(found)}. Measure again, or"
            " get both files of the run as they were written"
        )


def learned_later(record: Record, per_query: PerQuery | None) -> list[str]:
    """Return the reasons against comparing a record that the xbench which wrote it did not know."""
    if not record.comparable:
        return []
    known = protocols().get(record.protocol.matched or "")
    return [*(known.reasons_against if known else []), *_by_chance(record, per_query)]


def _by_chance(record: Record, per_query: PerQuery | None) -> list[str]:
    """Scores from elsewhere, of which version 1 did not ask whether they are in the protocol's order."""
    ids = record.scorer.settings.get("ids")
    if per_query is None or record.videos.looks or (isinstance(ids, list) and len(ids) == _SIDES):
        return []
    found = against_chance(per_query.t2v, per_query.caption_to_video, len(per_query.video_keys))
    if found.standing not in ("chance", "worse"):
        return []
    return [f"no better than chance ({found}): was this the protocol's order?"]


def not_checked(record: Record) -> list[str]:
    """Return what of a record nobody can check here."""
    matched = record.protocol.matched
    known = protocols().get(matched or "")
    if matched is None or (known is not None and known.is_content(record.protocol.fingerprint)):
        return []
    if known is None:
        return [f"the protocol {matched} is not known here: not checked"]
    return [f"the protocol {matched} is defined otherwise here: not checked"]


def _contradictions(record: Record, per_query: PerQuery | None) -> Iterator[str]:
    yield from _of_values(record)
    yield from _of_gallery(record)
    yield from _of_protocol(record)
    if per_query is None:
        return
    sizes = list(_of_sizes(record, per_query))
    yield from sizes
    if not sizes:
        for side in record.metrics:
            yield from _of_counts(record, per_query, side)
            if record.reranked is not None:
                yield from _of_stages(record.reranked, getattr(per_query, side), side)


def _of_values(record: Record) -> Iterator[str]:
    """Values that no measure can take, or outside their own intervals."""
    for side, metrics in record.metrics.items():
        for name, metric in metrics.items():
            measure, value = parse_measure(name), metric.value
            said = f"{side} {name} is {value:g}"
            if not measure.lowest - _ROUNDED <= value <= measure.highest + _ROUNDED:
                yield f"{said}, outside {measure.lowest:g} to {measure.highest:g}"
            if metric.low is None or metric.high is None:
                if metric.low != metric.high:
                    yield f"{said}, with half an interval"
                continue
            slack = _ROUNDED if measure.is_mean else 1.0
            if not metric.low - slack <= value <= metric.high + slack:
                yield f"{said}, outside its own interval {metric.low:g} to {metric.high:g}"


def _of_gallery(record: Record) -> Iterator[str]:
    videos, fingerprint = record.videos, record.protocol.fingerprint
    if videos.wanted != fingerprint.videos:
        yield f"{videos.wanted} videos were wanted, the fingerprint is of {fingerprint.videos}"
    left_out = len(unscored(record))
    if videos.scored != videos.wanted - left_out:
        yield f"{videos.scored} of {videos.wanted} videos were scored, {left_out} are named as left out"
    queries = record.queries.get("t2v", fingerprint.captions)
    if queries > fingerprint.captions or (not left_out and queries != fingerprint.captions):
        yield f"{queries} captions were scored, the fingerprint is of {fingerprint.captions}"


def _of_protocol(record: Record) -> Iterator[str]:
    """A protocol whose content it is not, or comparability against what the record itself says."""
    matched, found = record.protocol.matched, record.protocol.fingerprint
    known = protocols().get(matched or "")
    # Two users, or one on two days, may define a benchmark of their own otherwise; its name on a board tells.
    if known is not None and not is_of_own_benchmark(record) and not known.is_content(found):
        wanted = known.sha256.ids[:8] if known.sha256 else f"{known.captions} captions"
        yield (
            f"it is said to be {matched}, but its fingerprint is not that protocol's (ids {found.ids[:8]},"
            f" {found.captions} captions; {wanted})"
        )
    against = list(_against(record))
    if record.comparable and against:
        yield f"it is said to be comparable, but {' and '.join(against)}"


def _against(record: Record) -> Iterator[str]:
    if record.miniature:
        yield "it is of the miniature"
    if record.protocol.matched is None:
        yield "its files are no known protocol"
    if record.protocol.requested == CUSTOM:
        yield "it is of own annotations"
    if record.videos.missing:
        yield f"{len(record.videos.missing)} videos are missing"
    if record.videos.damaged:
        yield f"{len(record.videos.damaged)} videos are damaged"
    yield from scoring_reasons(record.ties.policy, record.post_processing, record.reranked)


def _of_sizes(record: Record, per_query: PerQuery) -> Iterator[str]:
    owners, captions, videos = per_query.caption_to_video, len(per_query.t2v), len(per_query.video_keys)
    if videos != record.videos.scored:
        yield f"{record.videos.scored} videos were scored, there are counts of {videos}"
    if not captions == len(owners) == len(per_query.caption_keys):
        yield f"there are counts of {captions} captions and keys of {len(per_query.caption_keys)}"
        return
    with_captions = len(np.unique(owners))
    if len(per_query.v2t) != with_captions or owners.min(initial=0) < 0 or owners.max(initial=0) >= videos:
        yield f"there are counts of {len(per_query.v2t)} videos, and captions of {with_captions}"
    texts = captions if record.protocol.v2t == "any-caption" else len(per_query.v2t)
    for side, counts, rivals in (("t2v", per_query.t2v, videos - 1), ("v2t", per_query.v2t, texts - 1)):
        above = counts.better + counts.tied + counts.nan_rivals
        if len({len(counts), len(counts.tied), len(counts.right), len(counts.nan_rivals)}) > 1:
            yield f"the counts of {side} are of several lengths"
        elif above.min(initial=0) < 0 or above.max(initial=0) > rivals:
            yield f"{side} counts up to {above.max()} rivals of {rivals}"


def _of_counts(record: Record, per_query: PerQuery, side: Direction) -> Iterator[str]:
    """Numbers of one direction that the counts do not give."""
    counts: Counts = getattr(per_query, side)
    if counts.nonfinite and record.ties.policy is not Ties.REFERENCE:
        yield f"ties are ranked {record.ties.policy}, but {counts.nonfinite} scores are NaN or infinite"
        return
    clusters = clusters_of(per_query, side)
    ranked = rank_queries(counts, record.ties.policy, as_torch=clusters is not None)
    for name, said, given in (
        ("queries", record.queries.get(side), len(counts)),
        ("tied queries", record.ties.tied.get(side), int(np.count_nonzero(counts.tied))),
        ("vanished queries", record.ties.vanished.get(side), ranked.vanished),
    ):
        if said is not None and said != given:
            yield f"{side} has {said} {name}, its counts give {given}"
    units = np.arange(len(counts)) if clusters is None else clusters
    for name, metric in record.metrics[side].items():
        yield from _of_metric(side, parse_measure(name), metric, ranked, units[ranked.queries])


def _of_stages(told: Reranked, counts: Counts, side: Direction) -> Iterator[str]:
    """What a second stage of k candidates cannot give.

    A right item that is no candidate has k or more above it. One that is a candidate has fewer, and fewer
    than k beside it and above, unless ties with the k-th let in more.
    """
    outside, wider = told.outside.get(side, 0), told.wider.get(side, 0)
    beyond = int(np.count_nonzero(counts.better >= told.k))
    across = int(np.count_nonzero((counts.better < told.k) & (counts.better + counts.tied >= told.k)))
    if not outside <= beyond <= outside + wider or across > wider:
        yield (
            f"{side} has {outside} queries outside the first {told.k} and {wider} with more candidates, its"
            f" counts have {beyond} and {across}"
        )


def _of_metric(
    side: Direction, measure: Measure, metric: Metric, ranked: Ranked, units: Ints
) -> Iterator[str]:
    given = measure.aggregate(ranked)
    if abs(given - metric.value) > _SAME * max(abs(given), 1.0):
        yield f"{side} {measure} is {metric.value:.10g}, its counts give {given:.10g}"
        return
    if metric.low is None or metric.high is None or not measure.is_mean or measure.is_rank:
        return
    half = 1.96 * _standard_error(measure, ranked, units)
    slack = 4 * (measure.highest - measure.lowest) / len(np.unique(units))
    below, above = given - metric.low, metric.high - given
    widest, narrowest = _TIMES * half + slack, half / _TIMES - slack
    if max(below, above) > widest or (below + above) / 2 < narrowest:
        yield (
            f"the interval of {side} {measure} is {metric.low:.4g} to {metric.high:.4g}, its counts give"
            f" about {given - half:.4g} to {given + half:.4g}"
        )


def _standard_error(measure: Measure, ranked: Ranked, units: Ints) -> float:
    _, unit = np.unique(units, return_inverse=True)
    gains = np.bincount(unit, measure.gains(ranked)).astype(np.float64)
    weights = np.bincount(unit, ranked.weight).astype(np.float64)
    return UnitSums(gains, weights, np.ones(len(gains), dtype=np.int64)).standard_error
