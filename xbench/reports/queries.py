"""The queries behind a number: chosen by conditions, the worst first, beside another run."""

import csv
import io
import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from xbench.errors import UsageError, did_you_mean
from xbench.metrics.counts import Counts
from xbench.reports.compare.pairing import aligned, require_same_queries
from xbench.reports.page.findings import Material, mean_ranks, videos_of
from xbench.reports.page.retrieved import wrong_captions, wrong_videos
from xbench.reports.record.files import Measurement
from xbench.shown import for_cell, visible
from xbench.terms import Direction

Format = Literal["text", "csv", "jsonl"]
_NUMBERS = ("rank", "better", "tied", "score", "other", "lead")
_TEXTS = ("caption", "video")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>|~)\s*(.+?)\s*")
_SHOWN_WRONG = 3
_CAPTION_WIDTH = 34


@dataclass(frozen=True)
class QueryRow:
    """One query. Ranks are 1-based, the mean over ties; NaN scores have none.

    caption, video: the text and the id, where the annotations are at hand; a video-to-text query is a video,
    and its caption is None. other: the rank in the other run. lead: by how many ranks this run is better.
    wrong: the closest wrong videos (captions for video-to-text) with their scores, where the matrix is at
    hand.
    """

    query: int
    caption: str | None
    video: str | None
    rank: float | None
    better: int
    tied: int
    score: float | None
    other: float | None
    lead: float | None
    wrong: tuple[tuple[str, float], ...]


Condition = Callable[[QueryRow], bool]


def read_condition(text: str) -> Condition:
    """Read `rank > 10`, `rank < other`, `lead >= 5`, `caption ~ dog`; ~ finds a part, in any case.

    A query without a value meets no condition on it. Raises UsageError for anything else.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(f"--where {text!r}: write NAME OPERATOR VALUE, e.g. 'rank > 10' or 'caption ~ dog'.")
    name, sign, value = found.groups()
    known = _TEXTS if sign == "~" else _NUMBERS
    if name not in known:
        raise UsageError(f"--where {text!r}: there is no {name!r} to compare so.{did_you_mean(name, known)}")
    if sign == "~":
        return lambda row: value.lower() in (getattr(row, name) or "").lower()
    compare, limit = _COMPARE[sign], _limit(text, value)

    def holds(row: QueryRow) -> bool:
        own, wanted = getattr(row, name), limit(row)
        return own is not None and wanted is not None and bool(compare(own, wanted))

    return holds


def _limit(text: str, value: str) -> Callable[[QueryRow], float | None]:
    if value in _NUMBERS:
        return lambda row: getattr(row, value)
    try:
        number = float(value)
    except ValueError:
        raise UsageError(
            f"--where {text!r}: expected a number or one of {', '.join(_NUMBERS)}, not {value!r}."
        ) from None
    return lambda row: number


def list_queries(
    measured: Measurement,
    material: Material,
    side: Direction,
    *,
    against: Measurement | None = None,
    where: Sequence[Condition] = (),
    most: int = 20,
) -> list[QueryRow]:
    """Return the queries that meet all conditions, the highest rank first, at most so many.

    against: only those that one of the two runs ranks better are listed, the largest difference first. Raises
    UsageError when it scored other queries, DataError when counts are not at hand.
    """
    counts: Counts = getattr(measured.counts, side)
    ranks = mean_ranks(counts)
    others = None if against is None else _ranks_of(measured, against, side)
    key = ranks if others is None else np.abs(others - ranks)
    order = np.argsort(-np.nan_to_num(key, nan=-1.0), kind="stable")
    kept = [int(index) for index in order if others is None or key[index] > 0]
    rows = [_row(measured, material, side, index, ranks, others) for index in kept]
    chosen = [row for row in rows if all(holds(row) for holds in where)][:most]
    return _with_wrong(chosen, measured, material, side)


def _ranks_of(measured: Measurement, against: Measurement, side: Direction) -> NDArray[np.float64]:
    require_same_queries(measured, against)
    return mean_ranks(aligned(measured.counts, against.counts, side))


def _row(  # noqa: PLR0917  (a query of two arrays)
    measured: Measurement,
    material: Material,
    side: Direction,
    index: int,
    ranks: NDArray[np.float64],
    others: NDArray[np.float64] | None,
) -> QueryRow:
    counts: Counts = getattr(measured.counts, side)
    video = int(videos_of(measured, side)[index])
    other = None if others is None else _finite(others[index])
    rank = _finite(ranks[index])
    return QueryRow(
        query=index,
        caption=None if side == "v2t" or material.captions is None else material.captions[index],
        video=None if material.video_ids is None else material.video_ids[video],
        rank=rank,
        better=int(counts.better[index]),
        tied=int(counts.tied[index]),
        score=_finite(counts.right[index]),
        other=other,
        lead=None if rank is None or other is None else other - rank,
        wrong=(),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _with_wrong(
    rows: Sequence[QueryRow], measured: Measurement, material: Material, side: Direction
) -> list[QueryRow]:
    """Add what was found instead, which is read from the matrix for the chosen queries only."""
    if material.similarity is None or not rows:
        return list(rows)
    indices = np.array([row.query for row in rows])
    if side == "t2v":
        names, found = material.video_ids, wrong_videos(measured, indices, material.similarity)
    elif measured.record.post_processing == "none":
        names, found = material.captions, wrong_captions(measured, indices, material.similarity)
    else:
        return list(rows)
    return [
        QueryRow(**{**_values(row), "wrong": tuple((_name(names, item), score) for item, score in wrong)})
        for row, wrong in zip(rows, found, strict=True)
    ]


def _values(row: QueryRow) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _name(names: Sequence[str] | None, item: int) -> str:
    return f"#{item}" if names is None else names[item]


def render_queries(rows: Sequence[QueryRow], style: Format = "text") -> str:
    """Return a table of at most 100 columns, CSV that a spreadsheet may open, or a JSON object a line."""
    if style == "jsonl":
        return "\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    if style == "csv":
        return _csv(rows)
    middle = ["other"] if any(row.other is not None for row in rows) else []
    header = ["caption", "video", "rank", *middle, "tied", "score", "found instead"]
    cells = [_cells(row, with_other=bool(middle)) for row in rows]
    widths = [_CAPTION_WIDTH, 16, None, *(None for _ in middle), None, None, 20]
    align = ["left", "left", "right", *("right" for _ in middle), "right", "right", "left"]
    return tabulate(
        cells, header, tablefmt="simple", disable_numparse=True, maxcolwidths=widths, colalign=align
    )


def _cells(row: QueryRow, *, with_other: bool) -> list[str]:
    return [
        visible(row.caption or f"query {row.query}")[:200],
        visible(row.video or ""),
        _number(row.rank),
        *([_number(row.other)] if with_other else []),
        str(row.tied),
        "" if row.score is None else f"{row.score:.4g}",
        "; ".join(f"{visible(name)[:40]} {score:.4g}" for name, score in row.wrong[:_SHOWN_WRONG]),
    ]


def _csv(rows: Sequence[QueryRow]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(QueryRow)])
    for row in rows:
        values = _values(row) | {"wrong": "; ".join(f"{name} {score:.6g}" for name, score in row.wrong)}
        writer.writerow([for_cell(value) if isinstance(value, str) else value for value in values.values()])
    return stream.getvalue().rstrip("\n")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
