"""Leaderboards as one HTML file that sorts and filters without any network."""

from collections.abc import Sequence

from xbench.metrics.measures import in_order, parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.board.text import LEGEND
from xbench.reports.pages import render

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
