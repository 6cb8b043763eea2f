"""What a check looks at: a metric, its baseline, and how much worse it may be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xbench.errors import UsageError
from xbench.metrics.measures import Measure, parse_measure
from xbench.reports.record.schema import DIRECTIONS
from xbench.terms import Direction

Key = tuple[Direction, Measure]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Gate:
    """One metric that was checked.

    drop: how much worse the result is, positive for a lower recall and a higher rank; None when one side has
    no value. limit: the drop that is allowed. p: after Holm, None without a test. failed_because: empty if
    the metric passed.
    """

    direction: Direction
    measure: Measure
    baseline: float | None
    value: float | None
    drop: float | None
    limit: float
    p: float | None = None
    failed_because: str = ""

    @property
    def name(self) -> str:
        """E.g. `t2v.R@1`, as in --max-drop."""
        return f"{self.direction}.{self.measure}"

    @property
    def exceeded(self) -> bool:
        """Whether the result is worse by more than is allowed, be it by chance or not."""
        return self.drop is not None and self.drop > self.limit + _ROUNDING


@dataclass(frozen=True)
class Verdict:
    """The whole check. notes: what a reader should know about the baseline."""

    protocol: str
    result: str
    baseline: str
    gates: tuple[Gate, ...]
    significance: float | None
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


def judge(key: Key, baseline: float | None, value: float | None, limit: float) -> Gate:
    """Compare one metric with its baseline, either of which may be absent."""
    side, measure = key
    if baseline is None or value is None:
        sides = {"result": value, "baseline": baseline}
        why = f"missing in the {' and in the '.join(name for name, one in sides.items() if one is None)}"
        return Gate(side, measure, baseline, value, None, limit, failed_because=why)
    drop = baseline - value if measure.higher_is_better else value - baseline
    gate = Gate(side, measure, baseline, value, drop, limit)
    why = f"worse by {drop:.{measure.digits + 1}f}, allowed {limit:g}"
    return replace(gate, failed_because=why) if gate.exceeded else gate
