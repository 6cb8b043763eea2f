"""A leaderboard in any of its formats."""

from collections.abc import Sequence
from datetime import UTC, datetime

from xbench.errors import DataError, UsageError
from xbench.metrics.measures import in_order, parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.board.boards import Filter, boards
from xbench.reports.board.model_index import model_index
from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.board.text import LEGEND, render_boards, render_csv
from xbench.reports.pages import render
from xbench.reports.record.files import Measurement


def render_leaderboard(
    records: Sequence[Measurement], style: str, choice: Filter, *, include_published: bool = False
) -> str:
    """Return the leaderboard of the results: `text`, `md`, `latex`, `csv`, `html`, or their `model-index`.

    Raises DataError when the choice leaves nothing, UsageError for claims or a miniature in a model card.
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
        found = _render(ranked, style) if ranked else ""
    if not found:
        raise DataError("no result fits the choice: leave out --dataset, --protocol or --comparable-only")
    return found


def _render(ranked: Sequence[Board], style: str) -> str:
    if style == "html":
        return render_html(ranked, datetime.now(UTC).date().isoformat())
    if style == "csv":
        return render_csv(ranked)
    return render_boards(ranked, "md" if style == "md" else "latex" if style == "latex" else "text")


_INTRODUCTION = (
    "Made by xbench on {date}. Shaded rows were measured; the others are claims of their sources. Recalls in"
    " percent{ranks}."
)
_BADGES = {
    "best": "the best of its board",
    "even": "measured, and not significantly worse than the best",
}


def render_html(boards: Sequence[Board], date: str) -> str:
    """Return the page. date: the day it is made, for its heading."""
    names = dict.fromkeys(board.protocol for board in boards)
    known = protocols()
    rendered = render(
        "leaderboard.html",
        title="Video-text retrieval",
        introduction=_INTRODUCTION.format(date=date, ranks=_ranks(boards)),
        boards=boards,
        protocols=[(name, name) for name in names],
        titles={name: known[name].title for name in names if name in known},
        details=_details,
        badges=_BADGES,
        legend=LEGEND.split(". ", 1)[1].replace("In parentheses the", "Below a value stands its"),
    )
    return str(rendered)


def _ranks(boards: Sequence[Board]) -> str:
    names = {name for board in boards for name in board.metrics if parse_measure(name).is_rank}
    return f"; {' and '.join(in_order(names))} are ranks" if names else ""


def _details(row: BoardRow) -> str:
    post = "" if row.post_processing == "none" else f"+ {row.post_processing}"
    return " ".join(part for part in (row.backbone, row.setting, post) if part)
