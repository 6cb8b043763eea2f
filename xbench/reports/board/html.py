"""Leaderboards as one HTML file that sorts and filters without any network."""

from collections.abc import Sequence
from html import escape

from xbench.metrics.measures import in_order, parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.board.text import LEGEND, board_title
from xbench.reports.pages import page, tag

_INTRODUCTION = (
    "Made by xbench on {date}. Shaded rows were measured; the others are claims of their sources. Recalls in"
    " percent{ranks}."
)
_BADGES = {
    "best": ("best", "the best of its board"),
    "even": ("even", "measured, and not significantly worse than the best"),
}


def render_html(boards: Sequence[Board], date: str) -> str:
    """Return the page. date: the day it is made, for its heading."""
    body = [
        tag("h1", "Video-text retrieval"),
        tag("p", escape(_INTRODUCTION.format(date=date, ranks=_ranks(boards))), class_="soft"),
        _controls(boards),
        *(_section(board) for board in boards),
        tag("p", escape(_legend()), class_="soft"),
    ]
    return page(
        "Video-text retrieval", body, styles=["page.css", "leaderboard.css"], scripts=["leaderboard.js"]
    )


def _ranks(boards: Sequence[Board]) -> str:
    names = {name for board in boards for name in board.metrics if parse_measure(name).is_rank}
    return f"; {' and '.join(in_order(names))} are ranks" if names else ""


def _legend() -> str:
    return LEGEND.split(". ", 1)[1].replace("In parentheses the", "Below a value stands its")


def _controls(boards: Sequence[Board]) -> str:
    names = list(dict.fromkeys(board.protocol for board in boards))
    return tag(
        "div",
        "".join(
            [
                tag("label", f"Search{_INPUT}"),
                _select("Protocol", "protocol", {"": "all", **{name: name for name in names}}),
                _select(
                    "Direction", "direction", {"": "both", "t2v": "text to video", "v2t": "video to text"}
                ),
                _select("Kind", "kind", {"": "all", "measured": "measured", "claimed": "claimed"}),
                _check("comparable only", "comparable", checked=False),
                _check("with test-set post-processing", "processed", checked=True),
                tag("output", "", id="count", class_="soft"),
            ]
        ),
        class_="controls",
        hidden="",
    )


_INPUT = '<input type="search" id="search" placeholder="model, backbone, ...">'


def _select(label: str, name: str, options: dict[str, str]) -> str:
    inside = "".join(tag("option", escape(text), value=value) for value, text in options.items())
    return tag("label", escape(label) + tag("select", inside, id=name))


def _check(label: str, name: str, *, checked: bool) -> str:
    box = f'<input type="checkbox" id="{name}"{" checked" if checked else ""}>'
    return tag("label", box + escape(label), class_="check")


def _section(board: Board) -> str:
    known = protocols().get(board.protocol)
    head = "".join(
        [
            _header("#", None, first="ascending"),
            _header("model", None, first="ascending"),
            *(_header(name, "number", first=_first(name)) for name in board.metrics),
            _header("source", None, first="ascending"),
        ]
    )
    table = tag(
        "table", tag("thead", tag("tr", head)) + tag("tbody", "\n".join(_row(board, r) for r in board.rows))
    )
    title = tag("p", escape(known.title), class_="soft") if known else ""
    return tag(
        "section",
        tag("h2", escape(board_title(board))) + title + tag("div", table, class_="scroll"),
        class_="board",
        data_protocol=board.protocol,
        data_direction=board.direction,
        data_processed="yes" if board.processed else "no",
    )


def _first(name: str) -> str:
    return "descending" if parse_measure(name).higher_is_better else "ascending"


def _header(name: str, kind: str | None, *, first: str) -> str:
    return tag("th", tag("button", escape(name), type="button"), class_=kind, scope="col", data_first=first)


def _row(board: Board, row: BoardRow) -> str:
    place = row.place.rstrip("=")
    cells = [
        tag("td", escape(row.place) + _badge(row), class_="place", data_value=place or "NaN"),
        tag("td", _model(row), class_="model"),
        *(_number(row, name) for name in board.metrics),
        tag("td", _source(row), class_="source"),
    ]
    return tag(
        "tr",
        "".join(cells),
        class_="measured" if row.measured else None,
        data_kind="measured" if row.measured else "claimed",
        data_comparable="yes" if row.honest else "no",
    )


def _badge(row: BoardRow) -> str:
    if row.mark not in _BADGES:
        return ""
    text, title = _BADGES[row.mark]
    return " " + tag("span", text, class_=f"badge {row.mark}", title=title)


def _model(row: BoardRow) -> str:
    post = "" if row.post_processing == "none" else f"+ {row.post_processing}"
    details = " ".join(part for part in (row.backbone, row.setting, post) if part)
    return f"{escape(row.model)} {tag('span', escape(details), class_='remark')}"


def _number(row: BoardRow, name: str) -> str:
    if name not in row.values:
        return tag("td", "", class_="number absent", data_value="NaN", data_label=name)
    measure, value = parse_measure(name), row.values[name]
    text = measure.format(value.value)
    if value.interval is not None:
        about = "about " if value.interval.rough else ""
        text += tag(
            "small", f"{about}{measure.format(value.interval.low)} – {measure.format(value.interval.high)}"
        )
    return tag("td", text, class_="number", data_value=repr(value.value), data_label=name)


def _source(row: BoardRow) -> str:
    said = f"measured {row.date}, {row.source}" if row.measured else f"claimed: {row.source}"
    if row.source_url.startswith("https://"):
        link = tag("a", escape(row.source), href=row.source_url, rel="noopener noreferrer")
        said_html = f"claimed: {link}"
    else:
        said_html = escape(said)
    return said_html + "".join(tag("div", escape(remark), class_="remark") for remark in row.remarks)
