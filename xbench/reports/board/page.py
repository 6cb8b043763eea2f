"""The leaderboard as a page: an overview, a section per board, anchors and links that can be sent."""

from collections.abc import Callable, Sequence

from xbench.metrics.measures import in_order, parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.board.overview import Links, made_of, no_links, overview_of, sections_of, setting_of
from xbench.reports.board.rows import Board
from xbench.reports.pages import render
from xbench.reports.record.files import Measurement


def render_html(boards: Sequence[Board], date: str, links: Callable[[Measurement], Links] = no_links) -> str:
    """Return the page, self-contained. date: the day it is made, for its heading."""
    sections = sections_of(boards, links)
    names = in_order({name for board in boards for name in board.metrics})
    known = protocols()
    ids = list(dict.fromkeys(board.protocol for board in boards))
    rows = [(board, row) for board in boards for row in board.rows]
    return str(
        render(
            "leaderboard.html",
            title="Video-text retrieval",
            date=date,
            ranks=[name for name in names if parse_measure(name).is_rank],
            sections=sections,
            groups=overview_of(sections),
            metrics=names,
            protocols=ids,
            titles={name: known[name].title for name in ids if name in known},
            benchmarks=sorted({board.benchmark for board in boards}),
            years=sorted({row.year for _, row in rows} - {""}, reverse=True),
            backbones=sorted({row.backbone for _, row in rows} - {""}),
            ways=sorted({made_of(board, row) for board, row in rows}),
            settings=sorted({setting_of(board) for board in boards}),
        )
    )
