"""What a similarity matrix retrieves: the first items of each query, and items retrieved too often."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ints
from xbench.metrics.ranking import chunks


def top_columns(similarity: NDArray[np.floating], k: int) -> Ints:
    """Return the columns of the k highest scores of each row, best first: int64 [T, min(k, V)].

    similarity: [T, V], read in chunks of rows, so it may be memory-mapped. Columns with equal scores stand in
    no particular order, and of those that tie for the last position any may be left out.
    """
    rows, columns = similarity.shape
    k = min(k, columns)
    found = np.empty((rows, k), dtype=np.int64)
    for chunk in chunks(rows, columns):
        scores = np.asarray(similarity[chunk])
        some = (
            np.argpartition(-scores, k - 1, axis=1)[:, :k]
            if k < columns
            else np.tile(np.arange(columns), (len(scores), 1))
        )
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
        found[chunk] = np.take_along_axis(some, order, axis=1)
    return found


@dataclass(frozen=True, eq=False)
class Hubness:
    """How evenly the items of the gallery are retrieved.

    occurrences: int64 [V], in how many queries' first k each item stands. k, queries: what was counted.
    skewness: of the occurrences, 0 when even, above 1 with marked hubs (Radovanovic et al., JMLR 11:2487).
    never: how many items stand in no query's first k.
    """

    occurrences: Ints
    k: int
    queries: int

    @property
    def expected(self) -> float:
        """Occurrences of an item if all were retrieved evenly."""
        return self.k * self.queries / len(self.occurrences)

    @property
    def never(self) -> int:
        """Items that stand in no query's first k."""
        return int(np.count_nonzero(self.occurrences == 0))

    @property
    def skewness(self) -> float:
        """The third standardised moment of the occurrences; 0 where all are equal."""
        spread = self.occurrences.std()
        return float((((self.occurrences - self.occurrences.mean()) / spread) ** 3).mean()) if spread else 0.0


def hubness(top: Ints, items: int) -> Hubness:
    """Count in how many rows of `top` (int64 [T, k], distinct columns) each of `items` columns stands."""
    return Hubness(np.bincount(top.ravel(), minlength=items), top.shape[1], len(top))


def downsample(similarity: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Return the means of at most size x size rectangles of the matrix, which may be memory-mapped."""
    rows = np.unique(np.linspace(0, similarity.shape[0], min(size, similarity.shape[0]) + 1).astype(int))
    columns = np.unique(np.linspace(0, similarity.shape[1], min(size, similarity.shape[1]) + 1).astype(int))
    widths = np.diff(columns)
    return np.stack(
        [
            np.add.reduceat(np.asarray(similarity[top:end], dtype=np.float64).mean(axis=0), columns[:-1])
            / widths
            for top, end in pairwise(rows)
        ]
    )
