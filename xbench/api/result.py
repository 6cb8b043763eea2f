"""A result as Python sees it: the record, its per-query counts, and ways to look at them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xbench.metrics.measures import parse_measure
from xbench.pipeline import options
from xbench.reports.pages import Table, notebook
from xbench.reports.published.difference import Difference
from xbench.reports.published.difference import diff as _diff
from xbench.reports.record.files import Measurement, read, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Metric, Record, model_name, reranking
from xbench.reports.record.text import render, verdict
from xbench.terms import Direction

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Result:
    """What an evaluation gives. Printed, it is the table of the command line; in a notebook, an HTML table.

    record: everything that can change the numbers, typed (see `xbench.reports.record.schema`). per_query: the
    counts of every query, from which comparisons and other tie policies follow.
    """

    record: Record
    per_query: PerQuery
    path: Path | None = None
    """The record's file, None before it is saved."""

    @classmethod
    def of(cls, measured: Measurement) -> "Result":
        """Return a measurement as Python shows it."""
        return cls(measured.record, measured.counts, measured.path)

    @property
    def label(self) -> str:
        """What it is called, to tell it from other results of the same model; may be empty."""
        return self.record.label

    def labelled(self, label: str) -> "Result":
        """Return the result under another label, not saved. Raises UsageError for more than a line."""
        record = self.record.model_copy(update={"label": options.label("The label", label)})
        return Result(record, self.per_query)

    @property
    def metrics(self) -> dict[Direction, dict[str, Metric]]:
        """`metrics["t2v"]["R@1"].value`; recalls in percent."""
        return self.record.metrics

    @property
    def comparable(self) -> bool:
        """Whether the numbers may stand beside published ones of the same protocol."""
        return self.record.comparable

    @property
    def not_comparable_because(self) -> tuple[str, ...]:
        """Why not; empty when they may."""
        return tuple(self.record.not_comparable_because)

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a saved result with its per-query counts.

        Raises DataError when the record or its counts are missing, damaged or not each other's.
        """
        return cls.of(read(Path(path)))

    def save(self, folder: str | Path = "results") -> Path:
        """Write the record and its counts into a folder, atomically; return the record's path."""
        path, _ = save(self.record, self.per_query, Path(folder))
        return path

    def diff(self, model: str | None = None) -> Difference:
        """Return the difference from the published numbers of this model, or of another named one."""
        return _diff(self.record, model)

    def to_frame(self) -> "pd.DataFrame":
        """Return a row per direction and measure: direction, metric, value, low, high (None: no interval)."""
        import pandas as pd

        rows = [
            (direction, name, metric.value, metric.low, metric.high)
            for direction, metrics in self.metrics.items()
            for name, metric in metrics.items()
        ]
        return pd.DataFrame(rows, columns=["direction", "metric", "value", "low", "high"])

    def __str__(self) -> str:
        """Return the table that the command line prints."""
        return render(self.record)

    def __repr__(self) -> str:
        """Return a short line."""
        recalls = ", ".join(
            f"{side} R@1 {metrics['R@1'].value:.1f}"
            for side, metrics in self.metrics.items()
            if "R@1" in metrics
        )
        two = "" if self.record.reranked is None else f" ({reranking(self.record.reranked)})"
        return f"<xbench.Result {self.record.protocol.requested} {self.record.scorer.name}{two}: {recalls}>"

    def _repr_html_(self) -> str:
        """Return the table for a notebook, values with their 95% intervals."""
        names = list(dict.fromkeys(name for side in self.metrics.values() for name in side))
        rows = [
            [side, *(_cell(name, metrics.get(name)) for name in names)]
            for side, metrics in self.metrics.items()
        ]
        title = f"{self.record.protocol.requested}: {model_name(self.record)}"
        return notebook(title, [Table(["", *names], rows)], verdict(self.record))


def _cell(name: str, metric: Metric | None) -> str:
    if metric is None:
        return ""
    shown = parse_measure(name).format
    if metric.low is None or metric.high is None:
        return shown(metric.value)
    return f"{shown(metric.value)} ({shown(metric.low)} - {shown(metric.high)})"
