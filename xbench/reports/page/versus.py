"""Two runs over the same queries as a page: rank against rank, what one of them wins, both retrievals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from xbench.metrics.counts import Ints
from xbench.metrics.significance import ALPHA
from xbench.reports.compare.comparison import Contrast
from xbench.reports.compare.paired import compare
from xbench.reports.compare.pairing import order_by, query_keys
from xbench.reports.page.charts import Chart, grid_chart
from xbench.reports.page.findings import (
    Material,
    Outcomes,
    Query,
    gallery_of,
    outcomes_of,
    query_list,
    rank_grid,
    require_own_matrix,
)
from xbench.reports.page.listing import list_queries
from xbench.reports.page.report import DIRECTION_NAMES, fitting, texts_of
from xbench.reports.page.retrieved import Retrieved
from xbench.reports.pages import render
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS, protocol_of
from xbench.reports.record.text import format_p, signed
from xbench.terms import Direction

PAGES = ("a.html", "b.html")
"""The pages of the two runs, beside the one that compares them."""
_SHOWN = 10


class Pair(NamedTuple):
    """A caption as both runs have it."""

    a: Query
    b: Query


@dataclass(frozen=True, eq=False)
class Beside:
    """Two runs in the order of the first one's queries. material: of the first, its strips for both."""

    first: Measurement
    second: Measurement
    material: Material
    outcomes: dict[Direction, tuple[Outcomes, Outcomes]]

    @property
    def leads(self) -> tuple[list[Pair], list[Pair]]:
        """The captions that each run ranks better by most, at most 10 of each."""
        a, b = self.outcomes["t2v"]
        lead = np.nan_to_num(b.ranks - a.ranks)
        order = np.argsort(-lead, kind="stable")
        return self._pairs(order[lead[order] > 0][:_SHOWN]), self._pairs(
            order[lead[order] < 0][::-1][:_SHOWN]
        )

    @property
    def videos_shown(self) -> list[int]:
        """The videos of which the page shows frames, by index in the first run."""
        queries = [query for pairs in self.leads for pair in pairs for query in pair]
        own = [query.video for query in queries]
        return list(dict.fromkeys([*own, *(found.item for query in queries for found in query.first)]))

    def _pairs(self, indices: Ints) -> list[Pair]:
        sides = [query_list(self.first, indices, each, "t2v") for each in self.outcomes["t2v"]]
        return [Pair(*both) for both in zip(*sides, strict=True)]


def beside(first: Measurement, second: Measurement, materials: Sequence[Material]) -> Beside:
    """Put two runs over the same queries side by side; materials: those of each, in its own order.

    Raises DataError when a matrix is not the one that its run was made from.
    """
    for measured, material in zip((first, second), materials, strict=True):
        if material.similarity is not None:
            require_own_matrix(measured, material.similarity)
    own, other = (
        outcomes_of(measured, material.similarity)
        for measured, material in zip((first, second), materials, strict=True)
    )
    found = {side: (own[side], _moved(first, second, other[side], side)) for side in DIRECTIONS}
    return Beside(first, second, replace(materials[0], strips={}, explained=()), found)


def _moved(first: Measurement, second: Measurement, found: Outcomes, side: Direction) -> Outcomes:
    """How the second run did, queries and items as the first one numbers them."""
    rows = order_by(query_keys(first.counts, side), query_keys(second.counts, side))
    name = "video_keys" if side == "t2v" else "caption_keys"
    items = order_by(getattr(first.counts, name), getattr(second.counts, name))
    seen = found.first and Retrieved(np.argsort(items)[found.first.items[rows]], found.first.scores[rows])
    return Outcomes(found.ranks[rows], found.tied[rows], found.scores[rows], seen)


def render_versus(both: Beside) -> str:
    """Return the page, self-contained but for links to the pages of the two runs."""
    first, second, material = both.first, both.second, both.material
    a_better, b_better = both.leads
    shown = [pair.a.index for pair in a_better + b_better]
    listing, left_out = list_queries(
        first, material, [first.name, second.name], both.outcomes, {"t2v": shown, "v2t": []}
    )
    comparison = compare([first, second])
    page = render(
        "versus.html",
        title=f"{protocol_of(first.record)}: two results side by side",
        runs=list(zip("AB", (first, second), PAGES, strict=True)),
        rows=[_row(each) for each in comparison.versus[0].contrasts],
        notes=comparison.notes,
        alpha=ALPHA,
        wins=[_wins(side, *both.outcomes[side]) for side in DIRECTIONS],
        charts=[rank_against_rank(both, side) for side in DIRECTIONS],
        better=[("a-better", "A", a_better), ("b-better", "B", b_better)],
        listing=listing,
        left_out=left_out,
        missing=material.missing,
        strips=fitting(material.strips, both.videos_shown),
        **texts_of(material),
    )
    return str(page)


class Row(NamedTuple):
    """A measure of both runs, as text."""

    name: str
    a: str
    b: str
    difference: str
    interval: str
    p: str


def _row(contrast: Contrast) -> Row:
    measure, digits = contrast.measure, contrast.measure.digits
    mark = "*" if contrast.p_holm < ALPHA else ""
    return Row(
        f"{contrast.direction} {measure}",
        measure.format(contrast.first),
        measure.format(contrast.second),
        f"{signed(contrast.difference, digits)}{mark}",
        f"{signed(contrast.low, digits)} to {signed(contrast.high, digits)}",
        format_p(contrast.p_holm),
    )


def _wins(side: Direction, a: Outcomes, b: Outcomes) -> tuple[str, int, int, int, int]:
    """A direction; how many of its queries A ranks better, B, and both the same; how many lack a rank."""
    lead = b.ranks - a.ranks
    counted = (int((lead > 0).sum()), int((lead < 0).sum()), int((lead == 0).sum()))
    return DIRECTION_NAMES[side], *counted, int(np.isnan(lead).sum())


def rank_against_rank(both: Beside, side: Direction) -> Chart:
    """Draw at which rank the second run has the queries that the first has at each."""
    a, b = both.outcomes[side]
    labels, cells = rank_grid(a.ranks, b.ranks, gallery_of(both.first))
    name = DIRECTION_NAMES[side]
    return Chart(
        grid_chart(f"Rank against rank, {name}", labels, cells, ("rank in A", "rank in B")),
        f"Percentage of queries by their rank in both runs, {name}. Above the diagonal are those that B ranks"
        " better, below it those that A does.",
    )
