"""How often a gate calls a run worse, by simulation: false alarms where nothing differs, and power.

    python -m benchmarks.significance [--repetitions N]

Two runs share how hard each query is. In `equal` they differ by chance alone; in `shifted` every rank of the
second is 25% worse; in `lost` two of a hundred queries fall to the end and all others are a little better, so
the mean is worse and the typical rank is not. A row tells in how many of the repetitions the one-sided test
of a measure is significant at the level 0.05.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import GALLERY, ranked
from xbench.metrics.measures import parse_measure
from xbench.metrics.significance import ALPHA, paired_test

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_OWN = 0.5
"""Standard deviation of a run's own part of a log rank."""
_HARD = 2.0
"""That of the part that both runs share."""


@dataclass(frozen=True)
class Change:
    """What becomes of the log ranks of the second run, [Q] with random numbers [Q] -> [Q]."""

    name: str
    of: Callable[[Floats, Floats], Floats]


EQUAL = Change("equal", lambda logs, _: logs)
SHIFTED = Change("shifted", lambda logs, _: logs + np.log(1.25))
LOST = Change("lost", lambda logs, uniform: np.where(uniform < 0.02, np.log(GALLERY), logs - 0.15))


def ranks(change: Change, queries: int, captions: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """Return the ranks of both runs and the video of each query, [queries] each."""
    random = np.random.default_rng([queries, captions, seed])
    video = np.arange(queries) // captions
    hard = 0.2 + _HARD * random.standard_normal(video[-1] + 1)[video]
    # the videos' own part differs between the runs too, so that captions of one video are dependent
    logs = [
        hard
        + _OWN * random.standard_normal(video[-1] + 1)[video]
        + (_OWN * random.standard_normal(queries) if captions > 1 else 0)
        for _ in range(2)
    ]
    logs[1] = change.of(logs[1], random.random(queries))
    first, second = (np.clip(np.ceil(np.exp(each)), 1, GALLERY).astype(np.int64) for each in logs)
    return first, second, video


def p_worse(name: str, change: Change, queries: int, captions: int, seed: int) -> float:
    """Return the one-sided p-value of one simulated pair of runs, by the test that a gate uses."""
    first, second, video = ranks(change, queries, captions, seed)
    clusters, measure = video if captions > 1 else None, parse_measure(name)
    values = [measure.values(ranked(each)) for each in (first, second)]
    gains = values[1] - values[0] if measure.higher_is_better else values[0] - values[1]
    return paired_test(measure, gains, clusters, resamples=1000, seed=seed)[1].worse


def found_share(name: str, change: Change, queries: int, repetitions: int, captions: int = 1) -> float:
    """Return in which share of the repetitions a measure is called worse."""
    found = [p_worse(name, change, queries, captions, seed) < ALPHA for seed in range(repetitions)]
    return float(np.mean(found))


def main() -> None:
    """Print a row for each change, size and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    repetitions = parser.parse_args().repetitions
    print("change   queries x captions  measure  called worse")
    for change in (EQUAL, SHIFTED, LOST):
        for queries, captions in ((24, 1), (100, 1), (1000, 1), (500, 5), (3350, 5)):
            for name in ("R@1", "MdR", "MnR"):
                share = found_share(name, change, queries, repetitions, captions)
                print(f"{change.name:8} {queries:7} x {captions}  {name:7}  {share:.3f}", flush=True)


if __name__ == "__main__":
    main()
