"""Bootstrap of measures over queries, or over videos where a video has several captions.

Limits are percentiles of the resamples; those of the mean rank, whose tail is heavy, are studentized.

Queries are never resampled one by one. Those with equal ranks are one unit with a multiplicity, and a video
with all its captions is one unit; a resample is a vector of how often each unit was drawn, and every measure
of 10,000 resamples is then a product of matrices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints
from xbench.metrics.measures import Measure
from xbench.metrics.measures.median_rank import MedianRank
from xbench.metrics.medians import MedianTable
from xbench.metrics.studentized import UnitSums, log_t_limits
from xbench.metrics.ties import Ranked

RESAMPLES = 10_000
LEVEL = 0.95
_ENOUGH = 50
_ENOUGH_FOR_MEDIAN = 20
_ENOUGH_EFFECTIVE = 10.0
"""Below so many queries (videos, where captions of one video are taken together), or, for percentiles, so
many that the variance rests on, an interval is rough: it holds less than 93% in benchmarks/coverage.py."""
_CHUNK = 2_000_000
"""Draw counts held at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """The 95% interval of a measure. rough: too few queries, or too few that matter, to hold 95%."""

    low: float
    high: float
    rough: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a value lies in the interval, ends included."""
        return self.low <= value <= self.high


def intervals(
    ranked: Ranked,
    measures: Sequence[Measure],
    clusters: Ints | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[Measure, Interval]:
    """Return the 95% interval of each measure.

    clusters: int64, the video of each query, those included that the policy dropped; queries of one video
    enter or leave together, because captions of one video are not independent. None for independent queries.
    """
    units = _units([ranked], None if clusters is None else clusters[ranked.queries])
    table = _RunTable(ranked, measures, units)
    samples = np.empty((len(measures), resamples))
    errors: dict[Measure, Floats] = {
        measure: np.empty(resamples) for measure in measures if measure.is_rank and measure.is_mean
    }
    for part, drawn in _parts(units, resamples, seed):
        samples[:, part] = table.measure(drawn)
        for measure, of_measure in errors.items():
            row = measures.index(measure)
            of_measure[part] = table.sums(row).standard_errors(drawn, samples[row, part])
    return {
        measure: _interval(measure, table.sums(row), samples[row], errors.get(measure))
        for row, measure in enumerate(measures)
    }


def _interval(measure: Measure, sums: UnitSums, samples: Floats, errors: Floats | None) -> Interval:
    units = int(sums.multiplicity.sum())
    if errors is not None:
        return Interval(*log_t_limits(sums, samples, errors, LEVEL), rough=units < _ENOUGH)
    found = percentile_interval(samples)
    if not measure.is_mean:
        return replace(found, rough=units < _ENOUGH_FOR_MEDIAN)
    return replace(found, rough=units < _ENOUGH or sums.effective < _ENOUGH_EFFECTIVE)


def percentile_interval(samples: NDArray[Any]) -> Interval:
    """Return the interval between the 2.5th and the 97.5th percentile."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def resample(
    runs: Sequence[Ranked],
    measures: Sequence[Measure],
    clusters: Ints | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Floats:
    """Return the measures of every resample, float64 [runs, measures, resamples].

    The runs rank the same queries; each resample draws the same queries for all of them, so differences
    between runs are paired.
    """
    units = _units(runs, clusters)
    tables = [_RunTable(run, measures, units) for run in runs]
    found = np.empty((len(runs), len(measures), resamples))
    for part, drawn in _parts(units, resamples, seed):
        for index, table in enumerate(tables):
            found[index, :, part] = table.measure(drawn)
    return found


def _parts(units: "_Units", resamples: int, seed: int) -> Iterator[tuple[slice, Floats]]:
    """Yield which resamples come next and their draw counts."""
    done = 0
    for drawn in _draws(units.multiplicity, resamples, np.random.default_rng(seed)):
        yield slice(done, done + len(drawn)), drawn
        done += len(drawn)


@dataclass(frozen=True, eq=False)
class _Units:
    """What is drawn: `of` int64 [Q] gives the unit of each query, `multiplicity` int64 [U] how many equal
    units one stands for; then only its first query counts.
    """

    of: Ints
    multiplicity: Ints
    members: Ints
    """The queries whose values make up the units, all of them or one of each kind."""


def _units(runs: Sequence[Ranked], clusters: Ints | None) -> _Units:
    if clusters is not None:
        videos, unit = np.unique(clusters, return_inverse=True)
        return _Units(unit, np.ones(len(videos), dtype=np.int64), np.arange(len(unit)))
    spans = np.stack([column for run in runs for column in (run.first, run.last, run.weight)], axis=1)
    _, members, counts = np.unique(spans, axis=0, return_index=True, return_counts=True)
    return _Units(np.arange(len(members)), counts, members)


class _RunTable:
    """The measures of one run as sums over units."""

    def __init__(self, ranked: Ranked, measures: Sequence[Measure], units: _Units) -> None:
        picked = ranked.take(units.members)
        count, self._multiplicity = len(units.multiplicity), units.multiplicity
        columns = [picked.weight, *(measure.gains(picked) for measure in measures)]
        self._sums: Floats = np.stack([np.bincount(units.of, column, count) for column in columns], axis=1)
        self._median_rows = [row for row, measure in enumerate(measures) if isinstance(measure, MedianRank)]
        self._median = MedianTable(picked, units.of, units.multiplicity) if self._median_rows else None

    def measure(self, drawn: Floats) -> Floats:
        """Return [measures, r] for the draw counts [r, U]."""
        sums = drawn @ self._sums
        found: Floats = (sums[:, 1:] / sums[:, :1]).T
        if self._median is not None:
            found[self._median_rows] = self._median.medians(drawn)
        return found

    def sums(self, row: int) -> UnitSums:
        """Return what each unit adds to a measure."""
        return UnitSums(self._sums[:, row + 1], self._sums[:, 0], self._multiplicity)


def _draws(multiplicity: Ints, resamples: int, random: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each unit is drawn, float64 [r, U], in chunks; each row adds up to their number."""
    order = np.argsort(-multiplicity, kind="stable")
    common = _common(multiplicity[order])
    step = max(1, min(resamples, _CHUNK // len(multiplicity)))
    for start in range(0, resamples, step):
        drawn = _draw(multiplicity[order], common, min(step, resamples - start), random)
        yield drawn[:, np.argsort(order)].astype(np.float64)


def _draw(multiplicity: Ints, common: int, rows: int, random: np.random.Generator) -> Ints:
    """Draw the `common` frequent units by one multinomial, the rare ones one by one: together exact, and
    faster than either way alone.
    """
    total, rare = int(multiplicity.sum()), int(multiplicity[common:].sum())
    chances = np.append(multiplicity[:common], rare) / total
    drawn = np.zeros((rows, len(multiplicity)), dtype=np.int64)
    counts = random.multinomial(total, chances, size=rows)
    drawn[:, :common] = counts[:, :-1]
    if rare:
        width = len(multiplicity) - common
        unit = np.repeat(np.arange(width), multiplicity[common:])
        picks = unit[random.integers(0, rare, size=int(counts[:, -1].sum()))]
        cells = picks + np.repeat(np.arange(rows) * width, counts[:, -1])
        drawn[:, common:] = np.bincount(cells, minlength=rows * width).reshape(rows, width)
    return drawn


def _common(descending: Ints) -> int:
    """Return how many of the most frequent units to draw by multinomial: one costs about 8 single draws."""
    rare_draws = descending.sum() - np.concatenate([[0], np.cumsum(descending)])
    return int(np.argmin(8 * np.arange(len(descending) + 1) + rare_draws))
