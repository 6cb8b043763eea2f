"""How often the test of the order is wrong: matrices of the five shapes, in the protocol's order and not.

    python -m benchmarks.order [--trials N]

For each kind of matrix, how many of the trials are judged better than chance, at chance (NOT COMPARABLE
without ids) and worse (refused as distances), and the mean rank of the first, in percent of the gallery.
"""

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from xbench.metrics.chance import Standing, against_chance
from xbench.metrics.ranking import t2v_counts

SHAPES = {
    "MSR-VTT, LSMDC 1000 x 1000": (1000, 1000),
    "MSVD 27763 x 670": (27763, 670),
    "DiDeMo 1004 x 1004": (1004, 1004),
    "ActivityNet 4917 x 4917": (4917, 4917),
}
_WIDTH = 32

Floats = NDArray[np.float32]
Make = Callable[[np.random.Generator, int, int], Floats]


def features(
    random: np.random.Generator, captions: int, videos: int, signal: float, hubs: float = 0.0
) -> Floats:
    """Dot products of Gaussian features: each caption is `signal` times its video and noise.

    hubs: how far the videos lie in one direction, which every caption has a part of: some are close to all.
    """
    of_videos = random.normal(size=(videos, _WIDTH)).astype(np.float32)
    own = of_videos[np.arange(captions) * videos // captions]
    of_captions = signal * own + random.normal(size=(captions, _WIDTH)).astype(np.float32)
    of_videos[:, 0] *= 1 + hubs
    of_captions[:, 0] += hubs
    return of_captions @ of_videos.T


def permuted(random: np.random.Generator, captions: int, videos: int, axis: int) -> Floats:
    """A good model's scores with one axis in another order."""
    scores = features(random, captions, videos, 1.0)
    return np.take(scores, random.permutation(scores.shape[axis]), axis)


def perfect(random: np.random.Generator, captions: int, videos: int) -> Floats:
    """Every right video first."""
    scores = random.random((captions, videos), np.float32)
    scores[np.arange(captions), np.arange(captions) * videos // captions] = 2
    return scores


KINDS: dict[str, tuple[Standing, Make]] = {
    "perfect": ("better", perfect),
    "good (signal 1)": ("better", lambda *given: features(*given, 1.0)),
    "weak (signal 0.1)": ("better", lambda *given: features(*given, 0.1)),
    "good, with hubs": ("better", lambda *given: features(*given, 1.0, 3.0)),
    "random": ("chance", lambda *given: features(*given, 0.0)),
    "random, with hubs": ("chance", lambda *given: features(*given, 0.0, 3.0)),
    "good, captions permuted": ("chance", lambda *given: permuted(*given, 0)),
    "good, videos permuted": ("chance", lambda *given: permuted(*given, 1)),
    "good, as distances": ("worse", lambda *given: -features(*given, 1.0)),
}
"""Name -> how it should be judged, and how it is made."""


def judged(make: Make, shape: tuple[int, int], trials: int) -> tuple[Counter[Standing], float]:
    """Count the judgements of matrices of a kind and shape; also the first one's mean rank, in percent."""
    owners = np.arange(shape[0]) * shape[1] // shape[0]
    standings: Counter[Standing] = Counter()
    percents = []
    for seed in range(trials):
        scores = make(np.random.default_rng(seed), *shape)
        found = against_chance(t2v_counts(scores, owners), owners, shape[1])
        standings[found.standing] += 1
        percents.append(100 * found.mean_rank / shape[1])
    return standings, percents[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    trials = parser.parse_args().trials
    rows = []
    for kind, (right, make) in KINDS.items():
        for name, shape in SHAPES.items():
            found, percent = judged(make, shape, trials)
            counts = [found[standing] for standing in ("better", "chance", "worse")]
            rows.append([kind, name, f"{percent:.1f}", *counts, trials - found[right]])
    heads = ["matrix", "shape", "mean rank %", "better", "chance", "worse", f"wrong of {trials}"]
    print(tabulate(rows, headers=heads))


if __name__ == "__main__":
    main()
