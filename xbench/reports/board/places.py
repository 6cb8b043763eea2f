"""Places on a board, ties as ties, and which rows are as good as the best as far as one can tell."""

from collections.abc import Sequence
from dataclasses import replace

from xbench.errors import DataError, UsageError
from xbench.metrics.measures import Measure
from xbench.metrics.significance import ALPHA
from xbench.reports.board.rows import BoardRow
from xbench.reports.compare.paired import compare
from xbench.reports.compare.pairing import why_not_the_same
from xbench.terms import Direction


def placed(rows: Sequence[BoardRow], measure: Measure) -> list[BoardRow]:
    """Sort rows, best first; those that are not comparable or lack the measure come last, without a place.

    Papers print one decimal, so rows that print alike share a place.
    """
    name = str(measure)
    ranked = [row for row in rows if row.comparable and name in row.values]
    rest = [row for row in rows if not (row.comparable and name in row.values)]

    def printed(row: BoardRow) -> float:
        value = round(row.values[name].value, measure.digits) if name in row.values else float("-inf")
        return value if measure.higher_is_better else -value

    better = {value: sum(printed(other) > value for other in ranked) for value in map(printed, ranked)}
    tied = {value: sum(printed(other) == value for other in ranked) > 1 for value in better}
    placed = [
        replace(row, place=f"{better[printed(row)] + 1}{'=' if tied[printed(row)] else ''}") for row in ranked
    ]
    by_name = sorted(placed, key=lambda row: (-printed(row), row.model, row.backbone))
    return by_name + sorted(rest, key=lambda row: (-printed(row), row.model, row.backbone))


def marked(rows: Sequence[BoardRow], measure: Measure, side: Direction) -> list[BoardRow]:
    """Mark the best rows, and the measured ones that are not significantly worse than the best."""
    best = [row for row in rows if row.place in ("1", "1=")]
    if not best:
        return list(rows)
    against = next((row for row in best if row.measured), best[0])
    return [
        replace(row, mark="best" if row in best else "even" if _even(row, against, measure, side) else "")
        for row in rows
    ]


def _even(row: BoardRow, best: BoardRow, measure: Measure, side: Direction) -> bool:
    """Whether a measured row is not significantly worse than the best: by a paired test on the saved counts,
    or, against a claim, by whether the claim lies in the row's interval.
    """
    if row.measurement is None or not row.place:
        return False
    if best.measurement is not None and not why_not_the_same(best.measurement.record, row.measurement.record):
        try:
            (versus,) = compare([best.measurement, row.measurement], [measure]).versus
        except (DataError, UsageError):
            pass  # the counts of one are not at hand or not of these queries: the interval decides
        else:
            return all(each.p >= ALPHA for each in versus.contrasts if each.direction == side)
    interval = row.values[str(measure)].interval
    return interval is not None and best.values[str(measure)].value in interval
