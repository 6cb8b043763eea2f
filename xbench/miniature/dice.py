"""Random choices that are the same on every machine and with every version of Python and numpy."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Choices from `random.Random(seed).random()`, the only stream that Python promises to keep.

    `randrange`, `choice` and `shuffle`, and numpy's distributions, may change between versions.
    """

    def __init__(self, seed: str) -> None:
        self._stream = random.Random()
        self._stream.seed(seed, version=2)

    def below(self, count: int) -> int:
        """Return an integer from 0 to `count` - 1."""
        return int(self._stream.random() * count)

    def between(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`, in steps of a hundredth of the way."""
        return low + (high - low) * self.below(101) / 100

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._stream.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Return `count` different ones of the options, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]
