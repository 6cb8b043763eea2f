"""Leaderboards as text, Markdown and CSV."""

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tabulate import tabulate

from xbench.metrics.measures import parse_measure
from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.record.text import WIDTH, fill
from xbench.shown import for_cell, for_markdown, for_terminal

Format = Literal["text", "md"]
MARKS = {"best": "*", "even": "~", "": ""}
LEGEND = (
    "* best, ~ not significantly worse than the best measured (a paired test of the per-query counts, Holm"
    " over the board; nothing is even with a claim). Rows that print alike share a place (=)."
    " In parentheses the 95% interval, with `about` where it rests on too few queries. Rows without a place"
    " are not comparable."
)
_NARROWEST_MODEL = 14


@dataclass(frozen=True)
class _Style:
    table: str
    escape: Callable[[str], str]
    heading: str


_STYLES = {
    "text": _Style("simple", for_terminal, "{}"),
    "md": _Style("pipe", for_markdown, "## {}"),
}


def render_boards(boards: Sequence[Board], style: Format = "text") -> str:
    """Return all boards with their sources below them."""
    look = _STYLES[style]
    blocks = [_board(board, style) for board in boards]
    return "\n\n".join([*blocks, look.escape(LEGEND) if style != "text" else textwrap.fill(LEGEND, WIDTH)])


def render_csv(boards: Sequence[Board]) -> str:
    """Return one table of all boards, full precision, safe to open in a spreadsheet."""
    metrics = list(dict.fromkeys(name for board in boards for name in board.metrics))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [*_CSV_HEAD, *(f"{m}{part}" for m in metrics for part in ("", " low", " high")), *_CSV_TAIL]
    )
    for board in boards:
        for row in board.rows:
            cells = [*_identity(board, row), *_numbers(row, metrics), row.source, row.source_url]
            writer.writerow([for_cell(cell) for cell in [*cells, "; ".join(row.remarks)]])
    return stream.getvalue()


_CSV_HEAD = [
    *("protocol", "direction", "place", "mark", "model", "backbone", "setting", "post_processing", "kind"),
    *("date", "comparable"),
]
_CSV_TAIL = ["source", "source_url", "remarks"]


def row_name(row: BoardRow) -> str:
    """Return the model with its backbone and what else tells rows apart."""
    setting = row.label if row.measured else row.setting
    parts = [row.model, row.backbone, "" if setting == "fine-tuned" else setting]
    parts.append(row.made)
    return " ".join(part for part in parts if part)


def row_source(row: BoardRow) -> str:
    """Say who says so: measured here and when, or claimed and where."""
    said = f"measured {row.date}, {row.source}" if row.measured else f"claimed: {row.source}"
    return "; ".join([said, *row.remarks])


def _board(board: Board, style: Format) -> str:
    look = _STYLES[style]
    notes: dict[str, int] = {}
    rows = [_cells(row, board, notes, look) for row in board.rows]
    header = ["#", "model", *board.metrics, ""]
    align = ["left", "left", *["right"] * len(board.metrics), "left"]
    widths = _widths(rows, header) if style == "text" else None
    table = tabulate(
        rows, header, tablefmt=look.table, disable_numparse=True, colalign=align, maxcolwidths=widths
    )
    sources = [look.escape(f"[{number}] {note}") for note, number in notes.items()]
    title = look.heading.format(look.escape(board.title))
    if style == "text":
        title = fill(title)
        sources = [textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in sources]
    return ("\n" if style == "text" else "\n\n").join([title, table, *sources])


def _cells(row: BoardRow, board: Board, notes: dict[str, int], look: _Style) -> list[str]:
    number = notes.setdefault(row_source(row), len(notes) + 1)
    place = f"{row.place} {MARKS[row.mark]}".strip()
    values = [_value(row, name, with_interval=name == board.metrics[0]) for name in board.metrics]
    return [look.escape(cell) for cell in [place, row_name(row), *values, f"[{number}]"]]


def _value(row: BoardRow, name: str, *, with_interval: bool) -> str:
    if name not in row.values:
        return ""
    measure, value = parse_measure(name), row.values[name]
    printed = measure.format(value.value)
    if not with_interval or value.interval is None:
        return printed
    about = "about " if value.interval.rough else ""
    return f"{printed} ({about}{measure.format(value.interval.low)}-{measure.format(value.interval.high)})"


def _widths(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[int | None]:
    """Let the model's name wrap so that the table fits."""
    heads = [f"{name}  " for name in header]  # tabulate makes a column two wider than its heading
    others = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(header)) if i != 1]
    left = WIDTH - sum(others) - 2 * len(others)
    return [None, max(_NARROWEST_MODEL, left), *[None] * (len(header) - 2)]


def _identity(board: Board, row: BoardRow) -> list[str]:
    kind, comparable = "measured" if row.measured else "claimed", "yes" if row.honest else "no"
    named = [board.protocol, board.direction, row.place, row.mark, row.model, row.backbone, row.setting]
    return [*named, row.post_processing, kind, row.date, comparable]


def _numbers(row: BoardRow, metrics: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for name in metrics:
        value = row.values.get(name)
        interval = value.interval if value else None
        found = (
            value.value if value else None,
            *((interval.low, interval.high) if interval else (None, None)),
        )
        cells += ["" if number is None else f"{number:.10g}" for number in found]
    return cells
