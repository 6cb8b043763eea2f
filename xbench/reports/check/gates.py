"""What a check looks at: a metric, its baseline, and what it fails by: a limit, or a paired test."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xbench.errors import UsageError
from xbench.metrics.measures import Measure, parse_measure
from xbench.reports.record.schema import DIRECTIONS
from xbench.terms import Direction

Key = tuple[Direction, Measure]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Gate:
    """One metric that was checked.

    limit: the drop that is allowed, whatever chance can do; None where the paired test decides. p: of that
    test, one-sided, after Holm over the metrics that it decides; the metric fails below alpha. resolvable:
    the smallest difference that this set finds with 80% probability; None where nothing tells.
    """

    direction: Direction
    measure: Measure
    baseline: float | None
    value: float | None
    limit: float | None
    p: float | None = None
    alpha: float | None = None
    resolvable: float | None = None

    @property
    def name(self) -> str:
        """E.g. `t2v.R@1`, as in --max-drop."""
        return f"{self.direction}.{self.measure}"

    @property
    def drop(self) -> float | None:
        """How much worse the result is: positive for a lower recall and a higher rank; None if missing."""
        if self.baseline is None or self.value is None:
            return None
        higher = self.measure.higher_is_better
        return self.baseline - self.value if higher else self.value - self.baseline

    @property
    def failed_because(self) -> str:
        """Why the metric failed, empty if it passed."""
        if self.drop is None:
            sides = {"result": self.value, "baseline": self.baseline}
            return f"missing in the {' and in the '.join(n for n, one in sides.items() if one is None)}"
        worse = f"worse by {self.drop:.{self.measure.digits + 1}f}"
        if self.limit is not None:
            return f"{worse}, allowed {self.limit:g}" if self.drop > self.limit + _ROUNDING else ""
        if self.p is None or self.alpha is None or self.drop <= 0 or self.p >= self.alpha:
            return ""
        return f"{worse}, more than chance (p {self.p:.2g} below {self.alpha:g})"

    @property
    def too_fine(self) -> bool:
        """Whether its limit is below what the set resolves: then an unchanged model fails now and then."""
        return self.limit is not None and self.resolvable is not None and self.limit < self.resolvable


@dataclass(frozen=True)
class Verdict:
    """The whole check. untested: why no paired test was made, empty where one was. notes: what a reader
    should know about the baseline.
    """

    protocol: str
    result: str
    baseline: str
    gates: tuple[Gate, ...]
    untested: str = ""
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> list[Gate]:
        """The metrics that failed."""
        return [gate for gate in self.gates if gate.failed_because]


def parse_limits(texts: Sequence[str]) -> dict[Key, float]:
    """Parse `t2v.R@1=0.5`, or `R@1=0.5` for both directions. Raises UsageError for anything else."""
    limits: dict[Key, float] = {}
    for text in texts:
        parts = re.fullmatch(r"(?:(t2v|v2t)\.)?([^=]+)=(\d+(?:\.\d*)?|\.\d+)", text.strip())
        if not parts:
            raise UsageError(f"--max-drop {text}: write METRIC=DROP with a drop from 0, e.g. t2v.R@1=0.5")
        measure = parse_measure(parts[2])
        for side in DIRECTIONS:
            if parts[1] in (None, side):
                limits[side, measure] = float(parts[3])
    return limits
