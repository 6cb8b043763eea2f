"""One measured figure: something beside its rival, timed in turns in one process."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.rounds import medians


@dataclass(frozen=True)
class Figure:
    """What took `seconds` here and `rival_seconds` the other way.

    wanted: the least ratio that is promised, None where none is. steady: whether the ratio is one of two
    computations on this machine, so that `make bench-check` can hold it against the recorded one. memory:
    peak GB (10^9 bytes) where that was measured. note: what a reader must know.
    """

    part: str
    name: str
    seconds: float
    rival: str
    rival_seconds: float
    wanted: float | None = None
    steady: bool = True
    memory: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times as long the rival takes."""
        return self.rival_seconds / self.seconds

    @property
    def key(self) -> str:
        """The name under which a baseline keeps the ratio."""
        return f"{self.part}: {self.name} / {self.rival}"

    def as_json(self) -> dict[str, Any]:
        """Return all fields and the ratio."""
        return asdict(self) | {"ratio": self.ratio}


def versus(
    part: str,
    name: str,
    ours: Callable[[], object],
    rival: str,
    theirs: Callable[[], object],
    *,
    rounds: int,
    **rest: Any,
) -> Figure:
    """Time both in turns and return the medians as a figure."""
    seconds = medians({"ours": ours, "theirs": theirs}, rounds)
    return Figure(part, name, seconds["ours"], rival, seconds["theirs"], **rest)
