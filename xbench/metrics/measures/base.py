"""What every measure is: a gain for each rank, a name that it parses and prints, and how to read it.

A measure gives each rank a gain. Where a query may take the ranks `first` to `last`, its value is the mean
gain over them; that is the average tie policy in one formula, and the other policies are spans of one rank.
One item is right for each query.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ints, Ranked

Floats = NDArray[np.floating[Any]]

_MAX_CUTOFF = 1_000_000
_registered: list[type["Measure"]] = []


@dataclass(frozen=True)
class Measure(ABC):
    """A way to turn ranks into one number. A subclass with a `symbol` is known by it everywhere.

    symbol: its name, as papers print it. place: where it stands among a board's columns, lower first; the
    first column ranks. hub_name: its type in a Hugging Face model card. scale: what a gain of 1 counts.
    lowest, highest: the values that it can take. digits: after the decimal point, as papers print it.
    is_rank: its values are ranks of the right item. is_share: without ties a query counts whole or not at
    all. is_mean: it is the mean of its values.
    """

    symbol: ClassVar[str]
    place: ClassVar[int] = 100
    hub_name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    digits: ClassVar[int] = 1
    scale: ClassVar[float] = 100.0
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 100.0
    is_rank: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    is_mean: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        """Register a class that has a symbol of its own."""
        super().__init_subclass__()
        if "symbol" in cls.__dict__:
            _registered.append(cls)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the measure that a text names, whatever its case; None if it is another's name."""
        return cls() if text.lower() == cls.symbol.lower() else None

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Names to suggest to somebody who mistyped one."""
        return (cls.symbol,)

    def __str__(self) -> str:
        """Return the name, as it is parsed."""
        return self.symbol

    @property
    def hub_type(self) -> str:
        """Its type in a Hugging Face model card."""
        return self.hub_name

    @property
    def order(self) -> tuple[int, str, int]:
        """Sorts the columns of a board."""
        return self.place, self.symbol, 0

    @abstractmethod
    def gain(self, rank: Ints) -> Floats:
        """Return the gain of a 1-based rank, elementwise, before `scale`."""

    @abstractmethod
    def total_gain(self, rank: Ints) -> Floats:
        """Return the sum of the gains of the ranks 1 to `rank`, elementwise; 0 for rank 0."""

    def values(self, ranked: Ranked) -> Floats:
        """Return the value of each query: the mean gain of its ranks, float64 [Q], times `scale`."""
        spread = (self.total_gain(ranked.last) - self.total_gain(ranked.first - 1)) / ranked.size
        return self.scale * np.where(ranked.size == 1, self.gain(ranked.first), spread)

    def gains(self, ranked: Ranked) -> Floats:
        """Return what each query adds to the sum that `aggregate` divides by all weights, float64 [Q]."""
        gains = self.total_gain(ranked.last) - self.total_gain(ranked.first - 1)
        exact = np.where(ranked.size == 1, self.gain(ranked.first), gains)
        return self.scale * exact * (ranked.weight / ranked.size)

    def aggregate(self, ranked: Ranked) -> float:
        """Return the measure over all queries: the mean of their values, weighted by their entries."""
        return float(self.gains(ranked).sum() / ranked.weight.sum())

    def format(self, value: float) -> str:
        """Print a value with the digits that papers give it."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class CutoffMeasure(Measure):
    """A measure that looks at the first K ranks only; printed `SYMBOL@K`."""

    k: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the measure that a text names, whatever its case; None for another's name or a wrong K."""
        parts = re.fullmatch(rf"{re.escape(cls.symbol)}@(\d{{1,7}})", text, re.IGNORECASE)
        return cls(int(parts[1])) if parts and 1 <= int(parts[1]) <= _MAX_CUTOFF else None

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Names to suggest, with the cutoffs that papers print."""
        return tuple(f"{cls.symbol}@{k}" for k in (1, 5, 10, 50))

    def __str__(self) -> str:
        """Return `SYMBOL@K`."""
        return f"{self.symbol}@{self.k}"

    @property
    def hub_type(self) -> str:
        """Its type in a Hugging Face model card, e.g. `recall_at_10`."""
        return f"{self.hub_name}_at_{self.k}"

    @property
    def order(self) -> tuple[int, str, int]:
        """Sorts the columns of a board, smaller cutoffs first."""
        return self.place, self.symbol, self.k


def registered() -> tuple[type[Measure], ...]:
    """Return every measure that has been defined, in the order of a board's columns."""
    return tuple(sorted(_registered, key=lambda kind: (kind.place, kind.symbol)))
