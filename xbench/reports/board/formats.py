"""A leaderboard in any of its formats."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from xbench.errors import DataError, UsageError
from xbench.reports.board.boards import Filter, boards
from xbench.reports.board.latex import render_latex
from xbench.reports.board.model_index import model_index
from xbench.reports.board.overview import Links, no_links
from xbench.reports.board.page import render_html
from xbench.reports.board.rows import Board
from xbench.reports.board.text import render_boards, render_csv
from xbench.reports.record.files import Measurement
from xbench.terms import Layout


def render_leaderboard(
    records: Sequence[Measurement],
    style: str,
    choice: Filter,
    *,
    include_published: bool = False,
    links: Callable[[Measurement], Links] = no_links,
    layout: Layout = "boards",
) -> str:
    """Return the leaderboard of the results: `text`, `md`, `latex`, `csv`, `html`, or their `model-index`.

    links: what a row of the page links to. layout: of LaTeX. Raises DataError when the choice leaves nothing,
    UsageError for claims or a miniature in a model card.
    """
    if style == "model-index":
        if include_published:
            raise UsageError("a model card holds the model's own results: leave out --include-published")
        chosen = [measurement for measurement in records if choice.admits_record(measurement.record)]
        if any(measurement.record.miniature for measurement in chosen):
            raise UsageError("a model card cannot tell a miniature from its benchmark: leave its results out")
        found = model_index(chosen, choice.directions) if chosen else ""
    else:
        ranked = boards(records, choice, include_published=include_published)
        found = _render(ranked, style, links, layout, choice) if ranked else ""
    if not found:
        raise DataError(
            "no result fits the choice: leave out --dataset, --protocol, --metrics or --comparable-only"
        )
    return found


def _render(
    ranked: Sequence[Board],
    style: str,
    links: Callable[[Measurement], Links],
    layout: Layout,
    choice: Filter,
) -> str:
    if style == "html":
        return render_html(ranked, datetime.now(UTC).date().isoformat(), links)
    if style == "csv":
        return render_csv(ranked)
    if style == "latex":
        return render_latex(ranked, layout, every_metric=bool(choice.metrics))
    return render_boards(ranked, "md" if style == "md" else "text")
