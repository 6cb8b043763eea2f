"""`compare`: whether results differ by more than chance."""

from xbench.api.result import Result
from xbench.metrics.measures import parse_measures
from xbench.reports.compare.comparison import Comparison
from xbench.reports.compare.paired import compare as _compare
from xbench.reports.record.files import Measurement


def compare(first: Result, *others: Result, metrics: str | None = None) -> Comparison:
    """Compare results with the first of them, query by query; `print` the comparison for a table.

    They must have scored the same queries over the same gallery. metrics: e.g. `R@1,MdR`; default: those of
    the first. Per metric and direction: the difference, its 95% interval, a p-value (Holm-adjusted) and how
    many queries each wins. Raises UsageError, saying what differs, when they cannot be compared.
    """
    measures = parse_measures(metrics) if metrics else None
    return _compare([_measurement(result) for result in (first, *others)], measures)


def _measurement(result: Result) -> Measurement:
    return Measurement(result.record, result.per_query, result.path)
