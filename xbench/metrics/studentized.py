"""How a mean of heavy-tailed values varies: bootstrap-t limits, and how many units its variance rests on.

The percentile bootstrap of a mean rank is too narrow: the few queries that rank in the hundreds make up most
of its variance, and a resample knows no query that is worse than the worst one seen. The limits here are
those of the bootstrap-t (Efron 1981; Efron and Tibshirani, An Introduction to the Bootstrap, 12.5) of the
logarithm of the mean, with the standard error of a ratio of sums over units.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints

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
