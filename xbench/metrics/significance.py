"""Whether two runs over the same queries differ by more than chance, and what a set of this size can tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints
from xbench.metrics.bootstrap import RESAMPLES

Floats = NDArray[np.floating[Any]]

ALPHA = 0.05
POWER = 0.80
_CHUNK = 4_000_000
_PRECISION = 0.01
"""Of a resolvable difference, in queries."""


def mcnemar(wins_first: int, wins_second: int) -> float:
    """Return the two-sided exact p-value of McNemar's test from the two kinds of discordant queries."""
    from scipy.stats import binomtest

    discordant = wins_first + wins_second
    return float(binomtest(wins_first, discordant).pvalue) if discordant else 1.0


def wilcoxon(differences: Floats) -> float:
    """Return the two-sided p-value of the Wilcoxon signed-rank test; queries that do not differ drop out."""
    from scipy.stats import wilcoxon as signed_rank

    nonzero = differences[differences != 0]
    return float(signed_rank(nonzero).pvalue) if len(nonzero) else 1.0


def sign_flip(differences: Floats, clusters: Ints, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p-value of a permutation test in which whole videos swap the two runs.

    differences: [Q]; clusters: int64 [Q], the video of each query. Under the hypothesis that the runs do not
    differ, the sum of a video's differences is as likely with the other sign. The observed signs count as one
    of the permutations, so the p-value is never 0.
    """
    _, unit = np.unique(clusters, return_inverse=True)
    sums = np.bincount(unit, differences)
    sums = sums[sums != 0]
    observed = abs(sums.sum())
    slack = 1e-9 * np.abs(sums).sum()  # equal sums must count as equal whatever the order of additions
    random, extreme = np.random.default_rng(seed), 1
    step = max(1, _CHUNK // max(1, len(sums)))
    for start in range(0, resamples, step):
        flips = random.integers(0, 2, size=(min(step, resamples - start), len(sums)), dtype=np.int8)
        totals = sums.sum() - 2 * (flips @ sums)
        extreme += int(np.count_nonzero(np.abs(totals) >= observed - slack))
    return extreme / (resamples + 1)


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
