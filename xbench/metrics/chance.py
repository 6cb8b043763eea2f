"""Whether scores know anything of what they rank: the mean rank against that of guessing.

Scores whose rows or columns stand in another order than the protocol's look like guesses, and distances taken
for similarities do worse than guesses. Neither shows in any single number.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from xbench.metrics.counts import Counts, Ints

STANDARD_ERRORS = 4
"""How far from chance a mean rank must lie to be told from it: guesses lie beyond once in 16,000 times."""

FEWEST_VIDEOS = 20
"""Below, nothing can be told."""

Standing = Literal["better", "chance", "worse", "too few"]


@dataclass(frozen=True)
class AgainstChance:
    """A mean rank, averaged over each video's captions first, beside what guessing gives."""

    mean_rank: float
    videos: int

    @property
    def expected(self) -> float:
        """The mean rank of guesses among V videos: (V + 1) / 2."""
        return (self.videos + 1) / 2

    @property
    def standard_error(self) -> float:
        """Of the mean of V guesses, each uniform on 1 .. V: sqrt((V^2 - 1) / 12 / V)."""
        return sqrt((self.videos**2 - 1) / 12 / self.videos)

    @property
    def standing(self) -> Standing:
        """Better or worse than chance by four standard errors, or within them."""
        if self.videos < FEWEST_VIDEOS:
            return "too few"
        if abs(self.mean_rank - self.expected) <= STANDARD_ERRORS * self.standard_error:
            return "chance"
        return "better" if self.mean_rank < self.expected else "worse"

    def __str__(self) -> str:
        """Return both numbers for a message."""
        return f"mean rank {self.mean_rank:.1f} of {self.videos}, guessing gives {self.expected:.1f}"


def against_chance(t2v: Counts, caption_to_video: Ints, videos: int) -> AgainstChance:
    """Set text-to-video counts beside guesses.

    caption_to_video: int64 [T]. Captions of one video are not independent, so each video counts once, with
    the mean of its captions' ranks; equal scores count half, whatever the tie policy of the record.
    """
    ranks = t2v.better + 1 + t2v.tied / 2
    captions = np.bincount(caption_to_video, minlength=videos)
    of_video = np.bincount(caption_to_video, weights=ranks, minlength=videos)[captions > 0]
    return AgainstChance(float((of_video / captions[captions > 0]).mean()), videos)
