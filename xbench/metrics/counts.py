"""What ranking leaves of a similarity matrix: two counts per query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Ints


@dataclass(frozen=True, eq=False)
class Counts:
    """Per query: rivals above the right item, rivals tied with it, its score.

    better: int64 [Q], rivals scored strictly higher. tied: int64 [Q], other items scored equal (+0 and -0
    are). right: float32 [Q] (float64 where the scores are), the right item's score. nan_rivals: int64 [Q],
    rivals scored NaN, which are neither better nor tied. nonfinite: how many of the scores looked at were NaN
    or infinite, right items included.
    """

    better: Ints
    tied: Ints
    right: NDArray[np.floating[Any]]
    nan_rivals: Ints
    nonfinite: int

    def __len__(self) -> int:
        """Return the number of queries Q."""
        return len(self.better)

    @classmethod
    def concatenate(cls, parts: Sequence["Counts"]) -> "Counts":
        """Join the counts of different queries, in order."""
        return cls(
            better=np.concatenate([part.better for part in parts]),
            tied=np.concatenate([part.tied for part in parts]),
            right=np.concatenate([part.right for part in parts]),
            nan_rivals=np.concatenate([part.nan_rivals for part in parts]),
            nonfinite=sum(part.nonfinite for part in parts),
        )

    def take(self, queries: Ints) -> "Counts":
        """Return the counts of some queries, in the order given; `nonfinite` stays that of all."""
        return Counts(
            better=self.better[queries],
            tied=self.tied[queries],
            right=self.right[queries],
            nan_rivals=self.nan_rivals[queries],
            nonfinite=self.nonfinite,
        )
