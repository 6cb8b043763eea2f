"""Which captions belong to which video, arranged so that a matrix can be reduced from captions to videos."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.arrays import Array, Ints, as_kind, is_nan


class CaptionGroups:
    """The captions of each video that has any; made once per split, used for every strip of the matrix.

    `videos`: int64 [G], the sorted indices of the videos that have captions; `sizes`: how many each has.
    """

    def __init__(self, caption_to_video: Ints) -> None:
        """caption_to_video: int64 [T], the index of each caption's video, in any order."""
        self.videos, self._group, self.sizes = np.unique(
            caption_to_video, return_inverse=True, return_counts=True
        )
        self._order = np.argsort(self._group, kind="stable")
        self._starts = np.cumsum(self.sizes) - self.sizes

    @property
    def captions(self) -> int:
        """The number of captions T."""
        return len(self._group)

    @property
    def single(self) -> bool:
        """Whether no video has two captions."""
        return len(self.videos) == self.captions

    @cached_property
    def _sorted(self) -> bool:
        return bool((np.diff(self._group) >= 0).all())

    def positions(self, videos: Ints) -> Ints:
        """Return the group of each of `videos`, all of which must have captions: int64 [v]."""
        return np.searchsorted(self.videos, videos).astype(np.int64)

    def members(self, videos: Ints) -> tuple[Ints, Ints]:
        """Return (caption, position in `videos`) of every caption of `videos`, ordered by position."""
        groups = self.positions(videos)
        sizes = self.sizes[groups]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._order[np.repeat(self._starts[groups], sizes) + within], np.repeat(
            np.arange(len(videos)), sizes
        )

    def largest(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the largest [G] of the scores [T] of each video's captions, NaN where all are."""
        return np.asarray(np.fmax.reduceat(scores[self._order], self._starts))

    def best(self, strip: Array) -> Array:
        """Reduce captions to their videos by the maximum: [T, v] -> [G, v], NaN as minus infinity."""
        if isinstance(strip, np.ndarray):
            ordered = strip if self._sorted else strip[self._order]
            best = np.fmax.reduceat(ordered, self._starts, axis=0)
            if best.dtype.kind == "f":  # integers know neither NaN nor infinity
                best[np.isnan(best)] = -np.inf
            return best
        index = as_kind(self._group, strip)[:, None].expand_as(strip)
        known = strip.masked_fill(is_nan(strip), -float("inf")) if strip.is_floating_point() else strip
        best = strip.new_zeros((len(self.videos), strip.shape[1]))
        return best.scatter_reduce_(0, index, known, "amax", include_self=False)
