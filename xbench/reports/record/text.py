"""A record as the tables of the command line."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tabulate import tabulate

from xbench.metrics.measures import parse_measure
from xbench.registry.published import has_published_values
from xbench.reports.record.schema import DIRECTIONS, Record, model_name, protocol_of, reranking
from xbench.shown import visible
from xbench.terms import Direction

WIDTH = 100
"""Columns of a terminal that a table may take."""


def fill(line: str) -> str:
    """Return a line broken to fit a terminal, what follows indented."""
    return textwrap.fill(visible(line, keep="\n\t"), WIDTH, subsequent_indent="  ")


def signed(value: float, digits: int) -> str:
    """Print a difference with its sign; what rounds to zero is +0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def format_p(value: float) -> str:
    """Print a p-value with three decimals and no leading zero."""
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


_COLUMNS = 6
_DIFFERENCES = {
    "missing": "videos missing of",
    "extra": "videos that are not in",
    "changed": "videos with other text than",
}
NOT_COMPARABLE = "NOT COMPARABLE with published numbers"


def render(record: Record) -> str:
    """Return one result: what was scored, the metrics of both directions, and why it is not comparable."""
    head = f"{_protocol(record)}: {model_name(record)}, {_sizes(record)}"
    parts = [fill(head), *_interval_tables(record)]
    lines = [*rough_lines(record), *tie_lines(record), *stage_lines(record)]
    parts += [fill(line) for line in lines]
    parts += [fill(f"Note: {note}") for note in _notes(record)]
    return "\n".join([*parts, *verdict(record)])


def render_many(records: Sequence[Record]) -> str:
    """Return one table for several results, a block of rows per result, as papers print it."""
    names = [_protocol(record) + (" *" if not record.comparable else "") for record in records]
    models = [model_name(record) for record in records]
    if len(set(models)) == 1:
        head, keys = [models[0]], [[name] for name in names]
        header = ["protocol", ""]
    else:
        head, keys = [], [list(key) for key in zip(names, models, strict=True)]
        header = ["protocol", "model", ""]
    footnotes = [line for record in records for line in _footnotes(record)]
    return "\n".join([*head, metric_table(records, header, keys), *footnotes])


def _footnotes(record: Record) -> list[str]:
    """Why a result of a table cannot stand beside published numbers, or that there are none."""
    if not record.comparable:
        return [f"* {_protocol(record)}: {NOT_COMPARABLE}:", *_reasons(record)]
    return [] if has_published_values(record.protocol.matched) else verdict(record)


def render_whole(record: Record) -> str:
    """Return all that a record says: the result, every list in full, and what scored it and how."""
    return "\n\n".join([render(record), *_lists(record), "\n".join(_facts(record))])


def _lists(record: Record) -> Iterator[str]:
    """Every list of videos that sentences elsewhere cut short."""
    for differs in record.protocol.differences:
        for what in ("missing", "extra", "changed"):
            if ids := getattr(differs, what):
                yield _listed(f"{_DIFFERENCES[what]} {differs.protocol}", ids)
    if record.videos.missing:
        yield _listed("videos without a file", record.videos.missing)
    if record.videos.damaged:
        damaged = [f"{each.id}: {each.got or 0} of {each.wanted or '?'} frames, {each.cause}"
                   for each in record.videos.damaged]  # fmt: skip
        yield _listed("damaged videos", damaged)
    if record.videos.notes:
        yield _listed("notes on videos", [f"{each.id}: {each.note}" for each in record.videos.notes])


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{len(lines)} {title}:", *(f"  {visible(line)}" for line in lines)])


def _facts(record: Record) -> Iterator[str]:
    """What scored, and all that can change a number, a line each."""
    yield f"scorer: {model_name(record)}"
    yield from (f"  {name}: {value}" for name, value in record.scorer.settings.items())
    if record.checkpoint:
        yield f"checkpoint: {record.checkpoint.file}, sha256 {record.checkpoint.sha256}"
    if record.reranked and record.reranked.first.file:
        first = record.reranked.first.file
        yield f"first stage: {record.reranked.first.name}, {first.file}, sha256 {first.sha256}"
    for kind, settings in (("given", record.settings.passed), ("by default", record.settings.defaulted)):
        yield f"settings {kind}:"
        yield from (f"  {name}: {value}" for name, value in settings.items())
    looks = record.videos.looks.items()
    yield from (f"videos by {name}: {_histogram(counts)}" for name, counts in looks)
    yield f"fingerprint: {record.protocol.fingerprint.ids} (ids), {record.protocol.fingerprint.pairs} (pairs)"
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield f"xbench: {record.git or 'an installed package'}; made {record.created}"
    yield "seconds: " + ", ".join(f"{name} {seconds:g}" for name, seconds in record.timings.items())


def _histogram(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value} ({count})" for value, count in counts.items())


def _notes(record: Record) -> list[str]:
    """What a reader should know and the reasons do not say already; the same note of several videos once."""
    chosen = record.selection
    selection = [f"the best of {chosen.tried} checkpoints by {chosen.by} on {chosen.on}"] if chosen else []
    videos = Counter(note.note for note in record.videos.notes)
    said = [note for note in record.protocol.notes if note not in record.not_comparable_because]
    return [
        *selection,
        *said,
        *(f"{count} of {record.videos.scored} videos: {note}" for note, count in videos.items()),
    ]


def _interval_tables(record: Record) -> list[str]:
    """Tables of values with their intervals below them, of so many columns each that they fit."""
    names = list(dict.fromkeys(name for side in record.metrics.values() for name in side))
    tables = []
    for start in range(0, len(names), _COLUMNS):
        part = names[start : start + _COLUMNS]
        rows = [
            row
            for side in DIRECTIONS
            if side in record.metrics
            for row in (
                [side, *(_value(record, side, name) for name in part)],
                ["  95%", *(_interval(record, side, name) for name in part)],
            )
            if any(row[1:])
        ]
        align = ["left"] + ["right"] * len(part)
        table = tabulate(rows, ["", *part], tablefmt="simple", disable_numparse=True, colalign=align)
        tables.append(table)
    return tables


def metric_table(records: Sequence[Record], header: Sequence[str], keys: Sequence[Sequence[str]]) -> str:
    """Return a row per result and direction, a column per measure; absent values stay empty."""
    names = list(dict.fromkeys(name for r in records for side in r.metrics.values() for name in side))
    rows = [
        [*(key if first else [""] * len(key)), side, *(_value(record, side, name) for name in names)]
        for key, record in zip(keys, records, strict=True)
        for first, side in _numbered([side for side in DIRECTIONS if side in record.metrics])
    ]
    align = ["left"] * len(header) + ["right"] * len(names)
    return tabulate(rows, [*header, *names], tablefmt="simple", disable_numparse=True, colalign=align)


def rough_lines(record: Record) -> list[str]:
    """Say which intervals rest on too few queries to be believed."""
    rough = [
        f"{side} {', '.join(names)}"
        for side in DIRECTIONS
        if (names := [name for name, metric in record.metrics.get(side, {}).items() if metric.rough])
    ]
    said = "too few queries, or too few that matter, for 95%"
    return [f"Rough intervals ({said}): {'; '.join(rough)}"] if rough else []


def tie_lines(record: Record) -> list[str]:
    """Say what ties and vanished queries mean for the numbers, where there were any."""
    lines = []
    for side, tied in record.ties.tied.items():
        if tied:
            policy = record.ties.policy.value
            lines.append(f"{side}: {tied} of {record.queries[side]} queries are tied; ties ranked: {policy}")
    for side, vanished in record.ties.vanished.items():
        if vanished:
            lines.append(
                f"{side}: {vanished} of {record.queries[side]} queries have no finite score and vanished from"
                " the denominator, as in the published code"
            )
    return lines


def stage_lines(record: Record) -> list[str]:
    """Say what a second stage scored, and what it could not find, where there were two."""
    if record.reranked is None:
        return []
    told = record.reranked
    outside = ", ".join(
        f"{side} {count} of {record.queries[side]}"
        for side, count in told.outside.items()
        if side in record.queries
    )
    lines = [
        f"Two stages: {record.scorer.name} {reranking(told)}, {told.pairs:,} pairs; the right item is not"
        f" among them for {outside} queries"
    ]
    if any(told.wider.values()):
        wider = ", ".join(f"{side} {count}" for side, count in told.wider.items() if count)
        lines.append(f"Ties with the {told.k}-th were re-ranked, too: {wider} queries")
    return lines


def _protocol(record: Record) -> str:
    name, requested = protocol_of(record), record.protocol.requested
    return f"{name} (asked for {requested})" if requested not in name else name


def _sizes(record: Record) -> str:
    captions, videos = record.protocol.fingerprint.captions, record.videos
    of = f" of {videos.wanted}" if videos.wanted != videos.scored else ""
    scored = record.queries["t2v"]
    return f"{scored}{f' of {captions}' if scored != captions else ''} captions, {videos.scored}{of} videos"


def _value(record: Record, side: Direction, name: str) -> str:
    metric = record.metrics[side].get(name)
    return "" if metric is None else parse_measure(name).format(metric.value)


def _interval(record: Record, side: Direction, name: str) -> str:
    metric = record.metrics[side].get(name)
    if metric is None or metric.low is None or metric.high is None:
        return ""
    measure = parse_measure(name)
    return f"{measure.format(metric.low)} - {measure.format(metric.high)}"


def verdict(record: Record) -> list[str]:
    """Say whether a result can stand beside published numbers, and if not, why."""
    matched = record.protocol.matched
    if record.comparable and not has_published_values(matched):
        return [fill(f"The full protocol {matched}; no published row.")]
    if record.comparable:
        return [fill(f"Comparable with published numbers of {matched}.")]
    reasons = record.not_comparable_because
    if len(reasons) == 1:
        return [fill(f"{NOT_COMPARABLE}: {reasons[0]}")]
    return [f"{NOT_COMPARABLE}, because:", *_reasons(record)]


def _reasons(record: Record) -> list[str]:
    return [
        textwrap.fill(reason, WIDTH, initial_indent="  - ", subsequent_indent="    ")
        for reason in record.not_comparable_because
    ]


def _numbered(sides: Sequence[Direction]) -> list[tuple[bool, Direction]]:
    return [(index == 0, side) for index, side in enumerate(sides)]
