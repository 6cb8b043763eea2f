"""Counts of both directions to the fields of a record: metrics with intervals, ties, queries."""

from collections.abc import Sequence
from typing import Any

from xbench.metrics.arrays import Ints
from xbench.metrics.bootstrap import RESAMPLES
from xbench.metrics.counts import Counts
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.metrics.summary import Summary, summarise
from xbench.reports.record.schema import Metric, TieRecord
from xbench.terms import Direction, Ties


def scored(
    t2v: Counts,
    v2t: Counts,
    caption_to_video: Ints,
    *,
    ties: Ties = Ties.AVERAGE,
    measures: Sequence[Measure] = DEFAULT_MEASURES,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Return the fields `queries`, `ties` and `metrics` of a Record, metrics with 95% intervals.

    Captions of one video are resampled together. Raises DataError for scores that are not finite, unless ties
    are counted as the published code does.
    """
    several = len(t2v) > len(v2t)
    clusters = caption_to_video if several else None
    summaries: dict[Direction, Summary] = {
        "t2v": summarise(t2v, ties, measures, as_torch=several, clusters=clusters, resamples=resamples),
        "v2t": summarise(v2t, ties, measures, resamples=resamples),
    }
    return {
        "queries": {side: summary.queries for side, summary in summaries.items()},
        "ties": TieRecord(
            policy=ties,
            tied={side: summary.tied for side, summary in summaries.items()},
            vanished={side: summary.vanished for side, summary in summaries.items()},
        ),
        "metrics": {
            side: {str(measure): _metric(summary, measure) for measure in summary.values}
            for side, summary in summaries.items()
        },
    }


def _metric(summary: Summary, measure: Measure) -> Metric:
    interval = summary.intervals.get(measure)
    if interval is None:
        return Metric(value=summary.values[measure])
    return Metric(value=summary.values[measure], low=interval.low, high=interval.high, rough=interval.rough)
