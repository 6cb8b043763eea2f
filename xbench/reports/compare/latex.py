"""A comparison as LaTeX: the runs with both directions side by side, and below how they differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xbench.metrics.measures import Measure
from xbench.metrics.significance import ALPHA
from xbench.reports.latex import Block, Rows, Table, document, name, number
from xbench.shown import for_latex
from xbench.terms import Direction

if TYPE_CHECKING:
    from xbench.reports.compare.comparison import Comparison, Contrast

_LEGEND = (
    r"\textbf{Best} and \underline{second} of the runs; $^{*}$ differs significantly from the first one"
    f" (p Holm $<$ {ALPHA:g})."
)

_Place = tuple[Direction, Measure]


def render_latex(
    comparison: "Comparison",
    header: Sequence[str],
    cells: Sequence[Sequence[Sequence[str]]],
    notes: Sequence[str],
) -> str:
    """Return what goes into a document as it is.

    header: of the columns of differences; cells: for each other run its rows, the direction and the measure
    first. notes: as text.
    """
    others = comparison.versus
    differences = [
        Rows(
            versus.other,
            [[name(" ".join(row[:2])), *map(_signed, row[4:])] for row in rows],
        )
        for versus, rows in zip(others, cells, strict=True)
    ]
    tables = [_runs(comparison), Table([Block("", [("", header[4:])])], differences)]
    return document(tables, [_LEGEND, *map(name, notes)])


def _signed(text: str) -> str:
    return for_latex(text).replace("-", "$-$")


def _runs(comparison: "Comparison") -> Table:
    """A row for each run, the first one first."""
    contrasts = [{(each.direction, each.measure): each for each in v.contrasts} for v in comparison.versus]
    columns: dict[Direction, list[Measure]] = {}
    for side, measure in contrasts[0]:
        columns.setdefault(side, []).append(measure)
    values = [{place: each.first for place, each in contrasts[0].items()}]
    values += [{place: each.second for place, each in found.items()} for found in contrasts]
    names = [comparison.baseline, *(versus.other for versus in comparison.versus)]
    rows = []
    for index, run in enumerate(names):
        against = contrasts[index - 1] if index else {}
        rows.append([name(run), *(_cell(values, index, place, against.get(place)) for place in contrasts[0])])
    blocks = [Block(comparison.protocol, [(side, list(map(str, found))) for side, found in columns.items()])]
    return Table(blocks, [Rows("", rows)])


def _cell(values: Sequence[dict[_Place, float]], run: int, place: _Place, against: "Contrast | None") -> str:
    measure = place[1]
    printed = [round(each[place], measure.digits) for each in values]
    order = sorted(set(printed), reverse=measure.higher_is_better)
    significant = against is not None and against.p_holm < ALPHA
    return number(
        for_latex(measure.format(values[run][place])),
        best=printed[run] == order[0],
        second=len(order) > 1 and printed[run] == order[1],
        sign="*" if significant else "",
    )
