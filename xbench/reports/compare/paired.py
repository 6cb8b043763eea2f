"""Two or more runs over the same queries: what differs, by how much, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xbench.metrics.counts import Ints, Ranked, rank_queries
from xbench.metrics.intervals import percentile_interval, resample
from xbench.metrics.measures import Floats, Measure, parse_measure
from xbench.metrics.significance import holm, paired_test, resolvable_difference, resolvable_share
from xbench.reports.compare.comparison import Comparison, Contrast, Versus
from xbench.reports.compare.pairing import aligned, require_same_queries
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import clusters_of
from xbench.reports.record.schema import DIRECTIONS, protocol_of, reranking
from xbench.terms import Direction, Ties


def compare(
    measurements: Sequence[Measurement], measures: Sequence[Measure] | None = None, ties: Ties = Ties.AVERAGE
) -> Comparison:
    """Compare every run with the first, over the measures of its record or those given.

    Works from the saved counts alone; ties are ranked by `ties` whatever the records did. `reference` is none
    of them: it counts a query more than once or not at all, so nothing is paired. Raises UsageError when the
    runs scored other queries, DataError for scores that are not finite.
    """
    first, others = measurements[0], measurements[1:]
    for other in others:
        require_same_queries(first, other)
    found = [Versus(other.name, _contrasts(first, other, measures, ties)) for other in others]
    return Comparison(
        baseline=first.name,
        protocol=protocol_of(first.record),
        captions=len(first.counts.t2v),
        videos=first.record.videos.scored,
        clustered=clusters_of(first.counts, "t2v") is not None,
        versus=_adjusted(found),
        notes=tuple(_notes(measurements, ties)),
    )


def p_value(first: Measurement, second: Measurement, measure: Measure, side: Direction) -> float:
    """Return the two-sided p-value of one contrast of `compare`, without its intervals.

    Raises what `compare` does.
    """
    require_same_queries(first, second)
    pair = _ranked(first, second, side, Ties.AVERAGE)
    return paired_test(measure, _gain(pair, measure), clusters_of(first.counts, side))[1].two_sided


def _gain(pair: tuple[Ranked, Ranked], measure: Measure) -> Floats:
    """By how much the second run is better, a query each."""
    values = [measure.values(ranked) for ranked in pair]
    return values[1] - values[0] if measure.higher_is_better else values[0] - values[1]


def _contrasts(
    first: Measurement, second: Measurement, measures: Sequence[Measure] | None, ties: Ties
) -> tuple[Contrast, ...]:
    found: list[Contrast] = []
    for side in DIRECTIONS:
        asked = measures or [parse_measure(name) for name in first.record.metrics.get(side, {})]
        pair = _ranked(first, second, side, ties)
        found += _of_direction(side, pair, asked, clusters_of(first.counts, side))
    return tuple(found)


def _ranked(first: Measurement, second: Measurement, side: Direction, ties: Ties) -> tuple[Ranked, Ranked]:
    own = rank_queries(getattr(first.counts, side), ties)
    return own, rank_queries(aligned(first.counts, second.counts, side), ties)


def _of_direction(
    side: Direction, pair: tuple[Ranked, Ranked], measures: Sequence[Measure], clusters: Ints | None
) -> list[Contrast]:
    samples = resample(pair, measures, clusters)
    return [
        _contrast(side, pair, measure, clusters, samples[1, row] - samples[0, row])
        for row, measure in enumerate(measures)
    ]


def _contrast(
    side: Direction, pair: tuple[Ranked, Ranked], measure: Measure, clusters: Ints | None, sample: Floats
) -> Contrast:
    gain = _gain(pair, measure)
    wins = int(np.count_nonzero(gain < 0)), int(np.count_nonzero(gain > 0))
    interval = percentile_interval(sample)
    test, p = paired_test(measure, gain, clusters)
    if measure.is_share and clusters is None:
        share = resolvable_share(sum(wins), len(gain))
        resolvable = None if share is None else measure.scale * share
    else:
        resolvable = resolvable_difference(float(sample.std()))
    return Contrast(
        direction=side,
        measure=measure,
        first=measure.aggregate(pair[0]),
        second=measure.aggregate(pair[1]),
        low=interval.low,
        high=interval.high,
        test=test,
        p=p.two_sided,
        p_holm=p.two_sided,
        p_worse=p.worse,
        wins_first=wins[0],
        wins_second=wins[1],
        resolvable=resolvable,
    )


def _adjusted(found: Sequence[Versus]) -> tuple[Versus, ...]:
    adjusted = iter(holm([contrast.p for versus in found for contrast in versus.contrasts]))
    return tuple(
        replace(versus, contrasts=tuple(replace(each, p_holm=next(adjusted)) for each in versus.contrasts))
        for versus in found
    )


def _notes(measurements: Sequence[Measurement], ties: Ties) -> list[str]:
    notes = [
        f"{measured.name}: its record ranks ties by {measured.record.ties.policy.value}; here {ties.value} is"
        " used for all"
        for measured in measurements
        if measured.record.ties.policy is not ties
    ]
    notes += [
        f"{measured.name}: post-processing {measured.record.post_processing} looked at more than the pair"
        for measured in measurements
        if measured.record.post_processing != "none"
    ]
    notes += [
        f"{measured.name}: a second stage, {reranking(measured.record.reranked)}"
        for measured in measurements
        if measured.record.reranked is not None
    ]
    damaged = {measured.name: len(measured.record.videos.damaged) for measured in measurements}
    return notes + [f"{name}: {count} damaged videos" for name, count in damaged.items() if count]
