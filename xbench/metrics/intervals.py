"""Intervals of measures by the bootstrap: percentiles, studentized means, medians; metrics with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Counts, Ints, Ranked, rank_queries
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.metrics.measures.median_rank import MedianRank
from xbench.terms import Ties

Floats = NDArray[np.float64]

_FULL_TAIL = 20.0
"""Effective units from which the upper limit needs no widening; found by benchmarks/coverage.py."""
_WIDENING = 1.5
"""How fast the upper limit's tail shrinks below that; found by benchmarks/coverage.py."""


@dataclass(frozen=True, eq=False)
class UnitSums:
    """What each unit (a query, or a video with its captions) adds to a mean: float64 [U] each.

    gains, weights: the mean is the sum of gains over the sum of weights. multiplicity: how many equal units
    one stands for.
    """

    gains: Floats
    weights: Floats
    multiplicity: Ints

    @property
    def mean(self) -> float:
        """The mean over all units."""
        return float((self.multiplicity @ self.gains) / (self.multiplicity @ self.weights))

    @property
    def standard_error(self) -> float:
        """The standard error of the mean, by the linearised variance of a ratio (Cochran 1977, 2.11)."""
        one = self.multiplicity[None, :].astype(np.float64)
        return float(self.standard_errors(one, np.array([self.mean]))[0])

    def standard_errors(self, drawn: Floats, means: Floats) -> Floats:
        """Return the standard error of each resample: drawn [r, U], means [r] -> [r]."""
        products = np.stack([self.weights, self.weights**2, self.weights * self.gains, self.gains**2], axis=1)
        weight, squares, crossed, gains = (drawn @ products).T
        residuals = np.maximum(gains - 2 * means * crossed + means**2 * squares, 0.0)
        units = max(int(self.multiplicity.sum()), 2)
        errors: Floats = np.sqrt(residuals * units / (units - 1)) / weight
        return errors

    @property
    def effective(self) -> float:
        """On how many units the variance rests: (sum of e^2)^2 / sum of e^4 over the residuals e.

        Of a share of hits p, about n p for a small p; infinite where nothing varies.
        """
        residuals = (self.gains - self.mean * self.weights) ** 2
        fourth = float(self.multiplicity @ residuals**2)
        return float(self.multiplicity @ residuals) ** 2 / fourth if fourth else float("inf")


def log_t_limits(sums: UnitSums, means: Floats, errors: Floats, level: float) -> tuple[float, float]:
    """Return the limits of a positive mean at a confidence level from its resamples.

    means, errors: [r], of the resamples. Where the variance rests on few units, the sample says too little of
    the tail that it comes from, and the upper limit takes a smaller quantile; by how much was found by
    simulation. Limits are finite and never lie beyond the smallest and the largest value of a unit.
    """
    mean, error = sums.mean, sums.standard_error
    values = sums.gains / sums.weights
    if error == 0:
        return mean, mean
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(np.log(means / mean) * means / errors, nan=0.0, posinf=np.inf, neginf=-np.inf)
    tail = (1 - level) / 2
    upper_tail = tail * min(1.0, (sums.effective / _FULL_TAIL) ** _WIDENING)
    smallest, largest = np.quantile(t, [upper_tail, 1 - tail], method="lower")
    low, high = (mean * np.exp(-t * error / mean) for t in (largest, smallest))
    return float(max(low, values.min())), float(min(high, values.max()))


_STANDARD_ERRORS = 4.0
"""How far from the median candidates are tabulated at first; the table grows when that is not enough."""


class MedianTable:
    """The entries of each unit near the median, for medians under any draw counts.

    A query is one entry at the mean of its ranks, or, where its weight is their number, one at each of them
    (see `Ranked`).
    """

    def __init__(self, ranked: Ranked, unit: Ints, multiplicity: Ints) -> None:
        """unit: int64 [Q], the unit of each query. multiplicity: int64 [U], how many one unit stands for."""
        self._ranked, self._unit, self._units = ranked, unit, len(multiplicity)
        self._each_rank = bool((ranked.weight > 1).any())
        self._centre = (ranked.first + ranked.last) / 2
        self._stands_for = multiplicity[unit]
        self._entries = np.bincount(unit, ranked.weight, self._units)
        self._candidates = (
            np.arange(ranked.first.min(), ranked.last.max() + 1).astype(np.float64)
            if self._each_rank
            else np.unique(self._centre)
        )
        self._tabulate(_STANDARD_ERRORS * 0.5 / np.sqrt(multiplicity.sum()))

    def medians(self, drawn: Floats) -> Floats:
        """Return the median of each row of draw counts [r, U]; of an even number the mean of the middle two,
        or the lower of them where the published code takes that.
        """
        while (found := self._medians(drawn)) is None:
            self._tabulate(2 * self._reach)
        return found

    def _medians(self, drawn: Floats) -> Floats | None:
        """The medians, or None if one may lie outside the table."""
        up_to, total = drawn @ self._table, drawn @ self._entries
        middles = [(total + 1) // 2] if self._ranked.as_torch else [(total + 1) // 2, total // 2 + 1]
        too_low = self._start > 0 and (up_to[:, 0] >= middles[0]).any()
        if too_low or (up_to[:, -1] < middles[-1]).any():
            return None
        ranks = [self._values[(up_to >= middle[:, None]).argmax(axis=1)] for middle in middles]
        return sum(ranks, start=np.zeros(len(total))) / len(ranks)

    def _tabulate(self, reach: float) -> None:
        """Tabulate the candidates that hold the shares 0.5 - reach to 0.5 + reach of all entries."""
        self._reach = reach
        self._start = max(self._candidate_at(0.5 - reach) - 1, 0)
        self._values = self._candidates[self._start : self._candidate_at(0.5 + reach) + 2]
        columns = [np.bincount(self._unit, self._at_most(value), self._units) for value in self._values]
        self._table = np.stack(columns, axis=1)

    def _candidate_at(self, share: float) -> int:
        """The first candidate that has at least this share of the entries at or below it, by bisection."""
        wanted = share * (self._stands_for * self._ranked.weight).sum()
        low, high = 0, len(self._candidates) - 1
        while low < high:
            middle = (low + high) // 2
            reached = (self._at_most(self._candidates[middle]) * self._stands_for).sum() >= wanted
            low, high = (low, middle) if reached else (middle + 1, high)
        return low

    def _at_most(self, value: float) -> Floats:
        """How many entries of each query have a rank of at most `value`."""
        if self._each_rank:
            return np.clip(value - self._ranked.first + 1, 0, self._ranked.weight)
        return (self._centre <= value).astype(np.float64)


RESAMPLES = 10_000
LEVEL = 0.95
_ENOUGH = 50
_ENOUGH_FOR_MEDIAN = 20
_ENOUGH_EFFECTIVE = 10.0
"""Below so many queries (videos, where captions of one video are taken together), or, for percentiles, so
many that the variance rests on, an interval is rough: it holds less than 93% in benchmarks/coverage.py."""
_CHUNK = 2_000_000
"""Draw counts held at a time."""


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


@dataclass(frozen=True)
class Summary:
    """Measures of one direction. tied: queries whose right item ties with another. vanished: queries that the
    published code leaves out of the denominator (only `reference` does). intervals: empty if not asked for.
    """

    values: dict[Measure, float]
    intervals: dict[Measure, Interval]
    queries: int
    tied: int
    vanished: int


def summarise(
    counts: Counts,
    ties: Ties = Ties.AVERAGE,
    measures: Sequence[Measure] = DEFAULT_MEASURES,
    *,
    as_torch: bool = False,
    clusters: Ints | None = None,
    resamples: int = 0,
) -> Summary:
    """Compute measures over all queries, with 95% intervals from `resamples` resamples if there are any.

    as_torch: True for text-to-video where videos have several captions (see `rank_queries`). clusters: then
    the video of each caption, int64 [Q], because the captions of one video are not independent. Raises
    DataError for NaN or infinite scores under any policy but `reference`.
    """
    ranked = rank_queries(counts, ties, as_torch=as_torch)
    return Summary(
        values={measure: measure.aggregate(ranked) for measure in measures},
        intervals=intervals(ranked, measures, clusters, resamples=resamples) if resamples else {},
        queries=len(counts),
        tied=int(np.count_nonzero(counts.tied)),
        vanished=ranked.vanished,
    )
