"""How often the 95% interval holds the true value, by simulation.

    python -m benchmarks.coverage [--repetitions N] [--resamples N]

Ranks of several shapes, alone and by video (captions of one video are alike), from 24 to 1,000 units. A row
tells how often the interval held the truth, over all sets and over those whose interval is not called rough,
and the share that is.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ranked
from xbench.metrics.intervals import intervals
from xbench.metrics.measures import Measure, parse_measures

Floats = NDArray[np.float64]

GALLERY = 1000
LIKENESS = 0.64
"""Correlation of the log ranks of two captions of a video."""
_POPULATION = 1_000_000


@dataclass(frozen=True)
class Shape:
    """A distribution of ranks as a function of standard normal numbers."""

    name: str
    of: Callable[[Floats], Floats]

    def ranks(self, units: int, captions: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw ranks of `units` videos with `captions` each: int64 [units * captions]."""
        own = random.standard_normal(units * captions)
        shared = np.repeat(random.standard_normal(units), captions)
        normal = own if captions == 1 else LIKENESS**0.5 * shared + (1 - LIKENESS) ** 0.5 * own
        return np.clip(np.ceil(self.of(normal)), 1, GALLERY).astype(np.int64)


SHAPES = (
    Shape("light (geometric, mean 5)", lambda z: np.ceil(np.log(_upper(z)) / np.log(0.8))),
    Shape("moderate (log-normal, mean 6)", lambda z: np.exp(0.7 + 1.4 * z)),
    Shape("heavy (log-normal, R@1 46, mean 11)", lambda z: np.exp(0.2 + 2.1 * z)),
    Shape("lost (19 of 20 in the first 3, the rest anywhere)", lambda z: _lost(_upper(z))),
)


def ranked(ranks: NDArray[np.int64]) -> Ranked:
    """Ranks without ties, as measures take them."""
    return Ranked(ranks, ranks, np.ones_like(ranks), np.arange(len(ranks)))


def coverage(
    shape: Shape, measure: Measure, size: tuple[int, int], repetitions: int, resamples: int
) -> tuple[float, float, float]:
    """Simulate sets of so many units with so many captions each (`size`).

    Return the share of sets whose interval holds the truth, the same of those that are not called rough
    (NaN without any), and the share called rough.
    """
    units, captions = size
    truth = measure.aggregate(ranked(shape.ranks(_POPULATION, 1, np.random.default_rng(1))))
    clusters = None if captions == 1 else np.repeat(np.arange(units), captions)
    held, rough = np.empty(repetitions, dtype=bool), np.empty(repetitions, dtype=bool)
    for seed in range(repetitions):
        sample = ranked(shape.ranks(units, captions, np.random.default_rng([units, captions, seed])))
        found = intervals(sample, [measure], clusters, resamples=resamples, seed=seed)[measure]
        held[seed], rough[seed] = truth in found, found.rough
    steady = float(held[~rough].mean()) if not rough.all() else float("nan")
    return float(held.mean()), steady, float(rough.mean())


def main() -> None:
    """Print a row for each shape, measure and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    options = parser.parse_args()
    measures = parse_measures("MnR,R@1,R@10,MdR")
    print("measure  units x captions  held  held, not rough  rough  shape")
    for measure in measures:
        for shape in SHAPES:
            for size in ((24, 1), (100, 1), (1000, 1), (24, 20), (100, 20), (670, 20)):
                found = coverage(shape, measure, size, options.repetitions, options.resamples)
                shares = "  ".join(f"{share:5.3f}" for share in found)
                print(f"{measure!s:6} {size[0]:5} x {size[1]:2}  {shares}  {shape.name}", flush=True)


def _upper(normal: Floats) -> Floats:
    from scipy.stats import norm

    return np.clip(norm.sf(normal), 1e-12, 1 - 1e-12)


def _lost(uniform: Floats) -> Floats:
    return np.where(uniform > 0.05, 3 * (uniform - 0.05) / 0.95, GALLERY * uniform / 0.05)


if __name__ == "__main__":
    main()
