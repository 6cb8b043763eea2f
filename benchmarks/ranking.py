"""Ranks by counting beside the published sort, both ways."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure, versus
from xbench.metrics.ranking import t2v_counts, v2t_counts


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the figures of square matrices, one caption per video."""
    for size in (1000,) if small else (1000, 5000):
        scores = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        right = np.arange(size)
        yield versus(
            "ranking",
            f"{size:,} x {size:,}, both ways",
            lambda scores=scores, right=right: (t2v_counts(scores, right), v2t_counts(scores, right)),
            "published sort",
            lambda scores=scores: (published_ranks(scores), published_ranks(scores.T)),
            rounds=15 if size == 1000 else 5,
            wanted=15 if size == 5000 else None,
        )


def published_ranks(similarity: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the 0-based ranks as the published `metrics.py` finds them: sort all, look for the right one."""
    ordered = np.sort(-similarity, axis=1)
    right = np.diag(-similarity)[:, np.newaxis]
    return np.where(ordered - right == 0)[1]
