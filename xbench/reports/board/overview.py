"""Boards as a reader goes through them: each row with its anchor, and models over all benchmarks."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.record.files import Measurement


@dataclass(frozen=True)
class Links:
    """Where a result's page and record stand, as relative addresses; empty for what is not there."""

    page: str = ""
    record: str = ""


def no_links(_: Measurement) -> Links:
    """Link to nothing: it is not known where the page will stand."""
    return Links()


@dataclass(frozen=True)
class Line:
    """A row of a board, and its anchor. made: how, as the filter of post-processing calls it."""

    id: str
    row: BoardRow
    links: Links
    made: str


@dataclass(frozen=True)
class Section:
    """A board, and its anchor."""

    id: str
    board: Board
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Entry:
    """A row of a board where the overview shows it. note: what tells it from another entry of its cell."""

    line: Line
    board: Board
    note: str


@dataclass(frozen=True)
class Model:
    """A row of the overview: a model as it is on all benchmarks, with its entries by protocol."""

    row: BoardRow
    made: str
    labels: str
    setting: str
    cells: Mapping[str, Sequence[Entry]]


@dataclass(frozen=True)
class Group:
    """Rows of the overview that may stand beside each other: made in one way."""

    title: str
    models: Sequence[Model]


def sections_of(boards: Sequence[Board], links: Callable[[Measurement], Links] = no_links) -> list[Section]:
    """Return the boards with an anchor for each, and for each of their rows."""
    used: Counter[str] = Counter()
    return [_section(board, _once(_anchor(board), used), links) for board in boards]


def _section(board: Board, name: str, links: Callable[[Measurement], Links]) -> Section:
    used: Counter[str] = Counter()
    lines = [
        Line(
            _once(f"{name}.{_slug(f'{row.model} {row.backbone} {row.label}')}", used),
            row,
            Links() if row.measurement is None else links(row.measurement),
            made_of(board, row),
        )
        for row in board.rows
    ]
    return Section(name, board, tuple(lines))


def _anchor(board: Board) -> str:
    rule = "" if board.rule in ("", "group-max") else f" {board.rule}"
    kind = "" if board.kind == "raw" else f" {board.kind}{board.k or ''}"
    return _slug(f"{board.protocol} {board.direction}{rule}{' zero-shot' if board.zero_shot else ''}{kind}")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "row"


def _once(name: str, used: Counter[str]) -> str:
    """A name that no other has: the second of one gets a number."""
    used[name] += 1
    return name if used[name] == 1 else f"{name}~{used[name]}"


def made_of(board: Board, row: BoardRow) -> str:
    """Return how a number was made: its post-processing, or that its evaluation sees the answer."""
    return "evaluation sees the right answer" if board.kind == "evaluation" else row.post_processing


def setting_of(board: Board) -> str:
    """Return whether its models have seen the benchmark; what is not known stands with the fine-tuned."""
    return "zero-shot" if board.zero_shot else "fine-tuned"


_Found = list[tuple[Section, Line]]
"""Lines of several sections that are one model."""


def overview_of(sections: Sequence[Section]) -> list[Group]:
    """Gather the rows of all boards by model, in groups that were made in one way; own results first."""
    groups: dict[str, dict[tuple[str, ...], _Found]] = {}
    for section in sections:
        for line in section.lines:
            group = groups.setdefault(f"{setting_of(section.board)}{section.board.made}", {})
            group.setdefault(_model_of(line), []).append((section, line))
    return [Group(title, _models(found.values())) for title, found in groups.items()]


def _model_of(line: Line) -> tuple[str, ...]:
    row = line.row
    return "own" if row.measured else "claim", row.model, row.backbone, row.reranked or line.made


def _models(found: Iterable[_Found]) -> list[Model]:
    models = [_model(lines) for each in found for lines in _by_label(each)]
    return sorted(models, key=lambda model: not model.row.measured)


def _by_label(lines: _Found) -> list[_Found]:
    """One row for a model that has one result on each board; else one for each label of its results."""
    if max(Counter(section.id for section, _ in lines).values()) == 1:
        return [lines]
    labelled: dict[str, _Found] = {}
    for section, line in lines:
        labelled.setdefault(line.row.label, []).append((section, line))
    return list(labelled.values())


def _model(lines: _Found) -> Model:
    (first, line), *_ = lines
    labels = list(dict.fromkeys(each.row.label for _, each in lines if each.row.label))
    cells: dict[str, list[Entry]] = {}
    on_one_board = Counter(section.id for section, _ in lines)
    for section, each in lines:
        board = section.board
        rule = "" if board.rule in ("", "group-max") else f"rule {board.rule}"
        note = rule or (_apart(each.row) if on_one_board[section.id] > 1 else "")
        cells.setdefault(board.protocol, []).append(Entry(each, board, note))
    return Model(line.row, line.made, ", ".join(labels), setting_of(first.board), cells)


def _apart(row: BoardRow) -> str:
    """What tells a row from another of its model on the same board."""
    return row.remarks[0] if row.remarks else row.source
