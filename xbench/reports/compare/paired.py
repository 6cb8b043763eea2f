"""Two or more runs over the same queries: what differs, by how much, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xbench.metrics.arrays import Ints
from xbench.metrics.bootstrap import percentile_interval, resample
from xbench.metrics.measures import Floats, Measure, parse_measure
from xbench.metrics.significance import holm, paired_test, resolvable_difference, resolvable_share
from xbench.metrics.ties import Ranked, rank_queries
from xbench.reports.compare.pairing import Run, aligned, clusters_of, require_same_queries
from xbench.reports.record.naming import protocol_of
from xbench.reports.record.schema import DIRECTIONS
from xbench.terms import Direction, Ties


@dataclass(frozen=True)
class Contrast:
    """One measure of one direction: `first` the baseline, `second` the other run.

    difference: second minus first, with its 95% interval over paired resamples. p: of `test`, two-sided.
    p_holm: adjusted over all contrasts of the comparison. p_worse: one-sided, that the second is worse.
    wins_first, wins_second: queries that each run ranks better by this measure. resolvable: the smallest
    difference that this set finds with 80% probability at the level 0.05; None where nothing varies.
    """

    direction: Direction
    measure: Measure
    first: float
    second: float
    low: float
    high: float
    test: str
    p: float
    p_holm: float
    p_worse: float
    wins_first: int
    wins_second: int
    resolvable: float | None

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def worsening(self) -> float:
        """How much worse the second run is: positive for a lower recall and for a higher rank."""
        return -self.difference if self.measure.higher_is_better else self.difference


@dataclass(frozen=True)
class Versus:
    """The baseline against one other run."""

    other: str
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Comparison:
    """All runs against the first."""

    baseline: str
    protocol: str
    captions: int
    videos: int
    clustered: bool
    """Whether captions were taken together by video in text-to-video."""
    versus: tuple[Versus, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Return the table of `xbench compare`."""
        from xbench.reports.compare.text import render_comparison

        return render_comparison(self)


def compare(
    runs: Sequence[Run], measures: Sequence[Measure] | None = None, ties: Ties = Ties.AVERAGE
) -> Comparison:
    """Compare every run with the first, over the measures of its record or those given.

    Works from the saved counts alone; ties are ranked by `ties` whatever the records did. `reference` is none
    of them: it counts a query more than once or not at all, so nothing is paired. Raises UsageError when the
    runs scored other queries, DataError for scores that are not finite.
    """
    first, others = runs[0], runs[1:]
    for other in others:
        require_same_queries(first, other)
    found = [Versus(other.name, _contrasts(first, other, measures, ties)) for other in others]
    return Comparison(
        baseline=first.name,
        protocol=protocol_of(first.result),
        captions=len(first.per_query.t2v),
        videos=first.result.videos.scored,
        clustered=clusters_of(first.per_query, "t2v") is not None,
        versus=_adjusted(found),
        notes=tuple(_notes(runs, ties)),
    )


def _contrasts(
    first: Run, second: Run, measures: Sequence[Measure] | None, ties: Ties
) -> tuple[Contrast, ...]:
    found: list[Contrast] = []
    for side in DIRECTIONS:
        asked = measures or [parse_measure(name) for name in first.result.metrics.get(side, {})]
        pair = _ranked(first, second, side, ties)
        found += _of_direction(side, pair, asked, clusters_of(first.per_query, side))
    return tuple(found)


def _ranked(first: Run, second: Run, side: Direction, ties: Ties) -> tuple[Ranked, Ranked]:
    own = rank_queries(getattr(first.per_query, side), ties)
    return own, rank_queries(aligned(first.per_query, second.per_query, side), ties)


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
    values = [measure.values(ranked) for ranked in pair]
    gain = values[1] - values[0] if measure.higher_is_better else values[0] - values[1]
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


def _notes(runs: Sequence[Run], ties: Ties) -> list[str]:
    notes = [
        f"{run.name}: its record ranks ties by {run.result.ties.policy.value}; here {ties.value} is used for"
        " all"
        for run in runs
        if run.result.ties.policy is not ties
    ]
    notes += [
        f"{run.name}: post-processing {run.result.post_processing} looked at the whole test set"
        for run in runs
        if run.result.post_processing != "none"
    ]
    damaged = {run.name: len(run.result.videos.damaged) for run in runs}
    return notes + [f"{name}: {count} damaged videos" for name, count in damaged.items() if count]
