"""Why a caption and a video have their score: the similarities it is made of, and what attends to what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PADDING = "padding"
"""How the word begins that stands for all padding."""


@dataclass(frozen=True)
class Part:
    """One of the similarities that a score is made of.

    value: the similarity itself. share: what it adds to the score; all shares add up to it.
    """

    name: str
    value: float
    share: float


@dataclass(frozen=True, eq=False)
class Margin:
    """A number for each word, or for each frame, beside a grid."""

    name: str
    values: Floats


@dataclass(frozen=True, eq=False)
class Grid:
    """A number for each word and frame: float64 [W, F].

    of_words [W] and of_frames [F] stand beside and below it: what words have with the video as a whole, what
    frames have with the sentence. kind: of a similarity, equal words or frames are shown by their mean, of a
    weight by their sum.
    """

    name: str
    kind: Literal["similarity", "weight"]
    values: Floats
    of_words: Margin | None = None
    of_frames: Margin | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a scorer says of one pair.

    words: one text for each of the W words as the model sees them, empty for padding, which comes last.
    """

    parts: tuple[Part, ...]
    words: tuple[str, ...]
    grids: tuple[Grid, ...]

    @property
    def score(self) -> float:
        """The sum of the shares."""
        return float(sum(part.share for part in self.parts))

    @property
    def frames(self) -> int:
        """F, padding included."""
        return self.grids[0].values.shape[1] if self.grids else 0

    def faults(self) -> list[str]:
        """Return what no reader could use: shapes that do not go together, numbers that are none."""
        found = [] if self.parts else ["it has no parts"]
        found += [
            f"the part {part.name!r} is not finite"
            for part in self.parts
            if not np.isfinite([part.value, part.share]).all()
        ]
        shape = (len(self.words), self.frames)
        for grid in self.grids:
            sides = ((grid.values, shape), *_sides(grid, shape))
            if any(np.shape(values) != wanted or not np.isfinite(values).all() for values, wanted in sides):
                found.append(f"the grid {grid.name!r} is not of {shape[0]} words x {shape[1]} frames, finite")
        return found

    def folded(self, frames: int) -> "Explanation":
        """Return it with all padding in one last word and one last frame, where there is any.

        frames: how many of the F are of the video.
        """
        words = sum(bool(word) for word in self.words)
        hidden = len(self.words) - words
        return replace(
            self,
            words=(*self.words[:words], *([f"{PADDING} x {hidden}"] if hidden else [])),
            grids=tuple(_folded(grid, words, frames) for grid in self.grids),
        )


def _sides(grid: Grid, shape: tuple[int, int]) -> Sequence[tuple[Floats, tuple[int, ...]]]:
    margins = ((grid.of_words, shape[:1]), (grid.of_frames, shape[1:]))
    return [(margin.values, wanted) for margin, wanted in margins if margin is not None]


def _folded(grid: Grid, words: int, frames: int) -> Grid:
    def fold(values: Floats, axis: int) -> Floats:
        first, rest = np.split(values, [words if axis == 0 else frames], axis=axis)
        if not rest.shape[axis]:
            return first
        one = (rest.mean if grid.kind == "similarity" else rest.sum)(axis=axis, keepdims=True)
        return np.concatenate([first, one], axis=axis)

    def side(margin: Margin | None, axis: int) -> Margin | None:
        if margin is None:
            return None
        shaped = margin.values[:, None] if axis == 0 else margin.values[None]
        return replace(margin, values=fold(shaped, axis).ravel())

    return replace(
        grid,
        values=fold(fold(grid.values, 0), 1),
        of_words=side(grid.of_words, 0),
        of_frames=side(grid.of_frames, 1),
    )
