"""Measured results and published claims on one board per protocol and direction, ranked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from xbench.errors import DataError, UsageError
from xbench.metrics.intervals import Interval
from xbench.metrics.measures import Measure, in_order, parse_measure
from xbench.metrics.significance import ALPHA, holm
from xbench.reports.board.distinct import Once, distinct
from xbench.reports.board.rows import KINDS, Board, BoardRow, Value, kind_of
from xbench.reports.compare.paired import p_value
from xbench.reports.published.claims import Claim, PublishedRow, published_rows
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import (
    DIRECTIONS,
    Record,
    is_called,
    label_of,
    processing_of,
    protocol_of,
    reranking,
    scoring_reasons,
)
from xbench.terms import Direction, Ties


@dataclass(frozen=True)
class Filter:
    """What a leaderboard shows; an empty filter admits everything.

    comparable_only leaves out results that are not comparable and whatever was post-processed. metrics: only
    these, in the order of a board; a row without any of them is left out.
    """

    benchmarks: Sequence[str] = ()
    protocols: Sequence[str] = ()
    directions: Sequence[Direction] = DIRECTIONS
    comparable_only: bool = False
    metrics: Sequence[Measure] = ()

    def admits_record(self, record: Record) -> bool:
        """Whether a result is shown."""
        honest = record.comparable or not self.comparable_only
        return honest and self._admits(record.benchmark, protocol_of(record))

    def admits_claim(self, claim: Claim) -> bool:
        """Whether a claim is shown."""
        honest = kind_of(claim.post_processing, claim.evaluation) == "raw" or not self.comparable_only
        return honest and self._admits(claim.benchmark, claim.protocol)

    def _admits(self, benchmark: str, protocol: str) -> bool:
        of_benchmark = not self.benchmarks or benchmark in self.benchmarks
        of_protocol = not self.protocols or any(is_called(protocol, name) for name in self.protocols)
        return of_benchmark and of_protocol


ALL = Filter()
_Key = tuple[str, str, Direction, int, str, bool, int]
"""Benchmark, protocol, direction, place of the kind in KINDS, v2t rule of several captions, zero-shot, and
how many candidates a second stage scored."""


def boards(
    records: Iterable[Measurement], choice: Filter = ALL, *, include_published: bool = False
) -> list[Board]:
    """Return the boards of what was measured and, if asked, of what was published."""
    grouped: dict[_Key, list[BoardRow]] = {}
    for once in distinct(records):
        record = once.measurement.record
        for side in choice.directions:
            if side in record.metrics and choice.admits_record(record):
                rule: str = ""
                kind, made = KINDS.index(kind_of(processing_of(record))), record.reranked
                if side == "v2t" and record.queries["t2v"] > record.queries["v2t"]:
                    rule = record.protocol.v2t
                zero_shot, k = record.scorer.is_zero_shot, made.k if made else 0
                key = (record.benchmark, protocol_of(record), side, kind, rule, zero_shot, k)
                grouped.setdefault(key, []).append(_measured(once, side))
    for published in published_rows() if include_published else []:
        claim = published.claim
        for side in choice.directions:
            if any(value.direction == side for value in published.values) and choice.admits_claim(claim):
                kind = KINDS.index(kind_of(claim.post_processing, claim.evaluation))
                rule = claim.v2t_rule if side == "v2t" else ""
                key = (claim.benchmark, claim.protocol, side, kind, rule, claim.setting == "zero-shot", 0)
                grouped.setdefault(key, []).append(_claimed(published, side))
    wanted = {str(measure) for measure in choice.metrics}
    shown = {key: _with(rows, wanted) if wanted else rows for key, rows in sorted(grouped.items())}
    return [_board(key, rows) for key, rows in shown.items() if rows]


def _with(rows: Sequence[BoardRow], metrics: set[str]) -> list[BoardRow]:
    """The rows that have any of the metrics, with no others."""
    kept = [(row, {name: v for name, v in row.values.items() if name in metrics}) for row in rows]
    return [replace(row, values=values) for row, values in kept if values]


def _measured(once: Once, side: Direction) -> BoardRow:
    measurement, record = once.measurement, once.measurement.record
    marked_anyway = scoring_reasons(Ties.AVERAGE, record.post_processing, record.reranked)
    reasons = [reason for reason in record.not_comparable_because if reason not in marked_anyway]
    return BoardRow(
        model=record.scorer.name,
        backbone=record.scorer.setting("backbone") or "",
        setting=label_of(record) or (record.checkpoint.file if record.checkpoint else ""),
        post_processing=processing_of(record),
        reranked="" if record.reranked is None else reranking(record.reranked),
        values={
            name: Value(
                m.value, None if m.low is None or m.high is None else Interval(m.low, m.high, m.rough)
            )
            for name, m in record.metrics[side].items()
        },
        date=record.created[:10],
        source=measurement.file,
        source_url="",
        remarks=(*_origin(once), *(f"not comparable: {reason}" for reason in reasons)),
        comparable=not reasons,
        measurement=measurement,
        label=label_of(record),
    )


def _origin(once: Once) -> list[str]:
    """Where the scores are from, what could not be checked of them, and which records say the same."""
    measurement = once.measurement
    source = measurement.record.scorer.setting("source")
    said = [f"scores from {source}"] if source else []
    if measurement.per_query is None:
        said.append("a claim: without its per-query counts nothing proves it")
    said += measurement.remarks
    return [*said, f"also in {', '.join(each.file for each in once.others)}"] if once.others else said


def _claimed(published: PublishedRow, side: Direction) -> BoardRow:
    claim = published.claim
    names = dict.fromkeys(value.metric for value in published.values if value.direction == side)
    used = {name: value for name in names if (value := published.value(side, name)) is not None}
    remarks = [f"trained on {claim.train_split}"] if claim.train_split else []
    if claim.protocol_basis == "assumed":
        remarks.append("protocol assumed")
    if all(value.standing == "secondary" for value in used.values()):
        remarks.append("secondary source")
    remarks += [claim.post_detail] if claim.post_detail else []
    remarks += [f"{claim.evaluation} ({claim.evaluation_url})"] if claim.evaluation else []
    remarks += [f"{name}: {value.note}" for name, value in used.items() if value.note]
    first = next(iter(used.values()))
    return BoardRow(
        model=claim.model,
        backbone=claim.backbone,
        setting=claim.setting,
        post_processing=claim.post_processing,
        values={name: Value(value.value) for name, value in used.items()},
        date="",
        source=first.source,
        source_url=first.source_url,
        remarks=tuple(remarks),
        comparable=True,
        sees_the_answer=bool(claim.evaluation),
    )


def _board(key: _Key, rows: Sequence[BoardRow]) -> Board:
    benchmark, protocol, side, kind, rule, zero_shot, k = key
    metrics = tuple(in_order({name for row in rows for name in row.values}))
    first = parse_measure(metrics[0])
    by_name = sorted(rows, key=lambda row: (row.model, row.backbone))
    with_place = [
        replace(row, place=place) for row, place in zip(by_name, places(by_name, first), strict=True)
    ]
    placed = sorted(with_place, key=lambda row: (not row.place, -_printed(row, first)))
    marks = {name: marked(placed, parse_measure(name), side) for name in metrics}
    seconds = {name: _seconds(placed, parse_measure(name)) for name in metrics}
    finished = [
        replace(
            row,
            mark=marks[metrics[0]][index],
            marks={name: marks[name][index] for name in metrics},
            second=frozenset(name for name in metrics if index in seconds[name]),
        )
        for index, row in enumerate(placed)
    ]
    return Board(benchmark, protocol, side, KINDS[kind], rule, zero_shot, metrics, tuple(finished), k)


def places(rows: Sequence[BoardRow], measure: Measure) -> list[str]:
    """Return the place of each row by a measure: `1`, or `2=` where papers print the same.

    Rows that are not comparable or lack the measure have none.
    """
    ranked = [row for row in rows if _ranks(row, measure)]
    alike = Counter(_printed(row, measure) for row in ranked)
    better = {value: sum(n for other, n in alike.items() if other > value) for value in alike}
    named = {value: f"{better[value] + 1}{'=' if alike[value] > 1 else ''}" for value in alike}
    return [named[_printed(row, measure)] if _ranks(row, measure) else "" for row in rows]


def _ranks(row: BoardRow, measure: Measure) -> bool:
    return row.comparable and str(measure) in row.values


def _printed(row: BoardRow, measure: Measure) -> float:
    """The value as papers print it, more for better, so that rows that print alike share a place."""
    if str(measure) not in row.values:
        return float("-inf")
    value = round(row.values[str(measure)].value, measure.digits)
    return value if measure.higher_is_better else -value


def marked(rows: Sequence[BoardRow], measure: Measure, side: Direction) -> list[str]:
    """Return the mark of each row by a measure.

    `best` are the first; `even` the measured ones that are not significantly worse than a measured best one.
    A record without counts is marked neither: nothing proves it. Where the best row is a claim, no row is
    even with it.
    """
    found = dict(enumerate(places(rows, measure)))
    first = [index for index, place in found.items() if place in ("1", "1=")]
    best = [index for index in first if _may_be_best(rows[index])]
    against = next((rows[index].measurement for index in first if rows[index].measured), None)
    others = [
        index for index, place in found.items() if place and rows[index].measured and index not in first
    ]
    even = [] if against is None else _even(rows, others, against, measure, side)
    return ["best" if index in best else "even" if index in even else "" for index in found]


def _may_be_best(row: BoardRow) -> bool:
    return row.measured or row.measurement is None


def _seconds(rows: Sequence[BoardRow], measure: Measure) -> set[int]:
    """The rows of the best place but the first."""
    found = {index: int(place.rstrip("=")) for index, place in enumerate(places(rows, measure)) if place}
    second = min((place for place in found.values() if place > 1), default=None)
    return {index for index, place in found.items() if place == second and _may_be_best(rows[index])}


def _even(
    rows: Sequence[BoardRow], others: Sequence[int], best: Measurement, measure: Measure, side: Direction
) -> list[int]:
    """Those of `others` over the same queries that a paired test does not tell from the best, after Holm."""
    tested: list[tuple[int, float]] = []
    for index in others:
        measurement = rows[index].measurement
        assert measurement is not None
        try:
            tested.append((index, p_value(best, measurement, measure, side)))
        except (DataError, UsageError):
            continue  # other queries, or scores that are not finite: no test
    adjusted = holm([p for _, p in tested]) if tested else []
    return [index for (index, _), p in zip(tested, adjusted, strict=True) if p >= ALPHA]
