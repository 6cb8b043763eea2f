"""Leaderboards as LaTeX: a table per protocol, or one of all benchmarks for a paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xbench.metrics.measures import in_order, parse_measure
from xbench.reports.board.overview import Entry, Group, Model, overview_of, sections_of
from xbench.reports.board.rows import Board
from xbench.reports.board.text import row_source
from xbench.reports.latex import Block, Rows, Table, cited, document, name, number, panels
from xbench.reports.record.schema import DIRECTIONS
from xbench.shown import for_latex
from xbench.terms import Direction, Layout

_LEGEND = (
    r"\textbf{Best} and \underline{second} of a protocol, direction and way of scoring. $^{\sim}$ Measured"
    " and not significantly worse than the best, where it was measured too (a paired test of the per-query"
    r" counts, Holm over the board). $^{\ne}$ Not comparable."
)
_INTERVALS = r" Below a number in small print its 95\% interval."
_CAPTION = "Video-text retrieval; recalls in percent."
_FOR_PAPERS = ("R@1", "R@5", "R@10")
_TWO_PANELS = 24
"""More numbers beside each other than this, and only the first recall is shown."""


@dataclass(frozen=True)
class _Columns:
    """The metrics shown by protocol and direction; the first of each with its interval, if any is."""

    metrics: Mapping[str, Mapping[Direction, Sequence[str]]]
    intervals: bool


@dataclass
class _Sources:
    """What the notes say, numbered as it is met."""

    numbers: dict[str, int] = field(default_factory=dict)

    def cite(self, entries: Sequence[Entry]) -> str:
        """Return the numbers of what some entries rest on, as they are cited."""
        said = map(_source, entries)
        return cited(sorted({self.numbers.setdefault(each, len(self.numbers) + 1) for each in said}))

    def notes(self) -> list[str]:
        """Return a line for each."""
        return [f"{{[}}{number}{{]}} {name(said)}" for said, number in self.numbers.items()]


def render_latex(boards: Sequence[Board], layout: Layout, *, every_metric: bool = True) -> str:
    """Return what goes into a document as it is: tables, and the notes on all of them once, below.

    layout: `boards`, a table per protocol, or `paper`, one of all in as many panels as its width needs, with
    the recalls that fit unless every_metric.
    """
    sources = _Sources()
    if layout == "paper":
        known = in_order({metric for board in boards for metric in board.metrics})
        shown = known if every_metric else _fitting(boards, known)
        left = [metric for metric in known if metric not in shown]
        said = [f"left out: {', '.join(left)}; --metrics chooses"] if left else []
        return document(_paper(boards, shown, sources), [_LEGEND, *sources.notes()], said)
    tables = [
        _table([board for board in boards if board.protocol == protocol], sources)
        for protocol in dict.fromkeys(board.protocol for board in boards)
    ]
    return document(tables, [_LEGEND + _INTERVALS, *sources.notes()])


def _fitting(boards: Sequence[Board], known: Sequence[str]) -> list[str]:
    """The recalls that papers print, or the first one only where these make too many columns."""
    usual = [metric for metric in known if metric in _FOR_PAPERS] or list(known[:1])
    columns = {(board.protocol, board.direction) for board in boards}
    return usual if len(usual) * len(columns) <= _TWO_PANELS else usual[:1]


def _paper(boards: Sequence[Board], metrics: Sequence[str], sources: _Sources) -> list[Table]:
    columns = _columns_of(boards, metrics)
    blocks = [Block(protocol, list(found.items())) for protocol, found in columns.items()]
    tables: list[Table] = []
    for panel in panels(blocks):
        ids = [block.title for block in panel]
        of_panel = [board for board in boards if board.protocol in ids]
        shown = _Columns({each: columns[each] for each in ids}, intervals=False)
        caption = "" if tables else _CAPTION
        tables.append(Table(panel, _groups(of_panel, shown, sources), caption))
    return tables


def _table(boards: Sequence[Board], sources: _Sources) -> Table:
    """All metrics of one protocol, both directions side by side."""
    columns = _columns_of(boards, in_order({metric for board in boards for metric in board.metrics}))
    blocks = [Block(protocol, list(found.items())) for protocol, found in columns.items()]
    return Table(blocks, _groups(boards, _Columns(columns, intervals=True), sources))


def _columns_of(boards: Sequence[Board], metrics: Sequence[str]) -> dict[str, dict[Direction, list[str]]]:
    found: dict[str, dict[Direction, list[str]]] = {}
    for protocol in dict.fromkeys(board.protocol for board in boards):
        for side in DIRECTIONS:
            of_it = [each for each in boards if (each.protocol, each.direction) == (protocol, side)]
            known = {metric for board in of_it for metric in board.metrics}
            if shown := [metric for metric in metrics if metric in known]:
                found.setdefault(protocol, {})[side] = shown
    return found


def _groups(boards: Sequence[Board], columns: _Columns, sources: _Sources) -> list[Rows]:
    """A group for each way of scoring: the claims, and below a rule what was measured."""
    found = overview_of(sections_of(boards))
    parts = [(group, own) for group in found for own in (False, True)]
    groups: list[Rows] = []
    titled: set[str] = set()
    for group, own in parts:
        rows = _rows(group, columns, sources, own=own)
        if rows:
            alone = len(found) == 1 or group.title in titled
            groups.append(Rows("" if alone else group.title, rows))
            titled.add(group.title)
    return groups


def _rows(group: Group, columns: _Columns, sources: _Sources, *, own: bool) -> list[list[str]]:
    models = [model for model in group.models if model.row.measured is own]
    rows = [_cells(model, turn, columns, sources) for model in models for turn in _turns(model)]
    return [row for row in rows if any(row[1:])]


_Turn = dict[tuple[str, Direction], Entry]
"""What a row of the table shows of a model: one entry by protocol and direction."""


def _turns(model: Model) -> list[_Turn]:
    """As many rows as a model has entries in one place, such as two training sets."""
    turns: list[_Turn] = []
    for protocol, entries in model.cells.items():
        for entry in entries:
            place = (protocol, entry.board.direction)
            free = next((turn for turn in turns if place not in turn), None)
            if free is None:
                turns.append({place: entry})
            else:
                free[place] = entry
    return turns


def _cells(model: Model, turn: _Turn, columns: _Columns, sources: _Sources) -> list[str]:
    row = model.row
    parts = [row.model, row.backbone, model.labels, row.made]
    cells = [f"{name(' '.join(part for part in parts if part))} {sources.cite(list(turn.values()))}"]
    for protocol, by_side in columns.metrics.items():
        for side, metrics in by_side.items():
            entry = turn.get((protocol, side))
            cells += [_cell(entry, each, columns.intervals and each == metrics[0]) for each in metrics]
    return cells


def _source(entry: Entry) -> str:
    rule = "" if entry.board.rule in ("", "group-max") else f"; v2t rule {entry.board.rule}"
    return row_source(entry.line.row) + rule


def _cell(entry: Entry | None, metric: str, with_interval: bool) -> str:
    if entry is None or metric not in entry.line.row.values:
        return ""
    row, measure = entry.line.row, parse_measure(metric)
    value, mark = row.values[metric], row.marks[metric]
    sign = r"\ne" if not row.comparable else r"\sim" if mark == "even" else ""
    interval, below = value.interval if with_interval else None, ""
    if interval is not None:
        about = "about " if interval.rough else ""
        below = f"{about}{measure.format(interval.low)}--{measure.format(interval.high)}"
    text = for_latex(measure.format(value.value))
    return number(text, best=mark == "best", second=metric in row.second, sign=sign, below=below)
