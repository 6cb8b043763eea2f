"""Places on a board, ties as ties, and which rows are as good as the best as far as one can tell."""

from collections.abc import Sequence
from dataclasses import replace

from xbench.errors import DataError, UsageError
from xbench.metrics.measures import Measure
from xbench.metrics.significance import ALPHA, holm
from xbench.reports.board.rows import BoardRow
from xbench.reports.compare.paired import compare
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
    """Mark the best rows, and the measured ones that are not significantly worse than a measured best one.

    A record without counts is marked neither: nothing proves it. Where the best row is a claim, no row is
    even with it.
    """
    first = [row for row in rows if row.place in ("1", "1=")]
    best = [row for row in first if row.measured or row.measurement is None]
    against = next((row for row in first if row.measured), None)
    others = [row for row in rows if row.measured and row.place and row not in first]
    even = [] if against is None else _even(others, against, measure, side)
    return [replace(row, mark="best" if row in best else "even" if row in even else "") for row in rows]


def _even(rows: Sequence[BoardRow], best: BoardRow, measure: Measure, side: Direction) -> list[BoardRow]:
    """The rows over the same queries that a paired test does not tell from the best, after Holm over all."""
    tested: list[tuple[BoardRow, float]] = []
    for row in rows:
        assert best.measurement is not None
        assert row.measurement is not None
        try:
            (versus,) = compare([best.measurement, row.measurement], [measure]).versus
        except (DataError, UsageError):
            continue  # other queries, or scores that are not finite: no test
        tested += [(row, each.p) for each in versus.contrasts if each.direction == side]
    adjusted = holm([p for _, p in tested]) if tested else []
    return [row for (row, _), p in zip(tested, adjusted, strict=True) if p >= ALPHA]
