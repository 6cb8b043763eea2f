"""Whether two runs over the same queries differ by more than chance, and what a set of this size can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ints
from xbench.metrics.intervals import RESAMPLES
from xbench.metrics.measures import Measure

Floats = NDArray[np.floating[Any]]

ALPHA = 0.05
POWER = 0.80
_CHUNK = 4_000_000
_PRECISION = 0.01
"""Of a resolvable difference, in queries."""


@dataclass(frozen=True)
class PValues:
    """How likely a result at least as uneven is by chance.

    two_sided: either run ahead. worse: the second run behind by as much, which is what a gate asks.
    """

    two_sided: float
    worse: float


NOTHING_DIFFERS = PValues(1.0, 1.0)


def paired_test(
    measure: Measure,
    gains: Floats,
    clusters: Ints | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[str, PValues]:
    """Choose and make the test of a measure: its name and p-values.

    A mean is tested as a mean and the median rank by a typical shift of ranks. gains: [Q], by how much the
    second run is better. clusters: int64 [Q], the video of each query where captions are dependent.
    """
    if clusters is None:
        if measure.is_share:
            return "McNemar, exact", mcnemar(int((gains < 0).sum()), int((gains > 0).sum()))
        if not measure.is_mean:
            return "Wilcoxon signed-rank of ranks", wilcoxon(gains)
        return "sign flip of the mean", sign_flip(gains, resamples=resamples, seed=seed)
    if measure.is_mean:
        return "sign flip by video of the mean", sign_flip(gains, clusters, resamples=resamples, seed=seed)
    ranks = signed_ranks(gains)
    return "signed ranks, sign flip by video", sign_flip(ranks, clusters, resamples=resamples, seed=seed)


def mcnemar(wins_first: int, wins_second: int) -> PValues:
    """Return the exact p-values of McNemar's test from the two kinds of discordant queries."""
    from scipy.stats import binomtest

    discordant = wins_first + wins_second
    if not discordant:
        return NOTHING_DIFFERS
    two_sided = binomtest(wins_first, discordant).pvalue
    return PValues(float(two_sided), float(binomtest(wins_first, discordant, alternative="greater").pvalue))


def wilcoxon(gains: Floats) -> PValues:
    """Return the p-values of the Wilcoxon signed-rank test: of a typical shift, whatever the means do.

    gains: [Q], by how much the second run is better; queries that do not differ drop out.
    """
    from scipy.stats import wilcoxon as signed_rank

    nonzero = gains[gains != 0]
    if not len(nonzero):
        return NOTHING_DIFFERS
    worse = signed_rank(nonzero, alternative="less").pvalue
    return PValues(float(signed_rank(nonzero).pvalue), float(worse))


def signed_ranks(gains: Floats) -> Floats:
    """Return the ranks of the sizes of what differs, with their signs, 0 for what does not: float64 [Q]."""
    from scipy.stats import rankdata

    ranks = np.zeros(len(gains))
    differs = gains != 0
    ranks[differs] = rankdata(np.abs(gains[differs])) * np.sign(gains[differs])
    return ranks


def sign_flip(
    gains: Floats, clusters: Ints | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> PValues:
    """Return the p-values of a paired permutation test of the mean: queries swap the two runs.

    gains: [Q], by how much the second run is better; clusters: int64 [Q], the video of each query, whose
    queries swap together. Under the hypothesis that the runs do not differ, a gain is as likely with the
    other sign. The observed signs count as one of the permutations, so a p-value is never 0.
    """
    unit = np.arange(len(gains)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(unit, gains)
    sums = sums[sums != 0]
    observed = sums.sum()
    slack = 1e-9 * np.abs(sums).sum()  # equal sums must count as equal whatever the order of additions
    random, uneven, behind = np.random.default_rng(seed), 1, 1
    step = max(1, _CHUNK // max(1, len(sums)))
    for start in range(0, resamples, step):
        flips = random.integers(0, 2, size=(min(step, resamples - start), len(sums)), dtype=np.int8)
        totals = observed - 2 * (flips @ sums)
        uneven += int(np.count_nonzero(np.abs(totals) >= abs(observed) - slack))
        behind += int(np.count_nonzero(totals <= observed + slack))
    return PValues(uneven / (resamples + 1), behind / (resamples + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: the smallest times n, the next times n - 1, ..., never decreasing."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(value) for value in adjusted]


def resolvable_share(discordant: int, queries: int) -> float | None:
    """Return the smallest difference of two recalls (as a share of 1) that this many queries resolve.

    With probability 80% the exact McNemar test at the level 0.05 finds it, if as large a share of the queries
    is discordant as was observed, or as the difference itself needs. None when no difference is large enough,
    as with fewer than 6 queries.
    """
    low, high = 0.0, 1.0
    if _mcnemar_power(high, discordant / queries, queries) < POWER:
        return None
    while high - low > _PRECISION / queries:
        middle = (low + high) / 2
        enough = _mcnemar_power(middle, discordant / queries, queries) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def _mcnemar_power(difference: float, discordance: float, queries: int) -> float:
    """The probability that the exact test finds a difference: over all counts of discordant queries."""
    from scipy.stats import binom

    share = max(discordance, difference)
    centre, reach = queries * share, 8 * (queries * share * (1 - share)) ** 0.5 + 1
    counts = np.arange(max(0, int(centre - reach)), min(queries, int(centre + reach) + 1) + 1)
    critical = binom.ppf(ALPHA / 2, counts, 0.5)
    critical = np.where(binom.cdf(critical, counts, 0.5) > ALPHA / 2, critical - 1, critical)
    win = (1 + difference / share) / 2
    found = binom.cdf(critical, counts, win) + binom.sf(counts - critical - 1, counts, win)
    return float(binom.pmf(counts, queries, share) @ np.where(critical < 0, 0.0, found))


def resolvable_difference(standard_error: float) -> float | None:
    """Return the smallest difference found with 80% probability at the level 0.05, given its standard error.

    None without any variation.
    """
    from scipy.stats import norm

    if standard_error <= 0:
        return None
    return float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) * standard_error
