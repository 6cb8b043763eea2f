"""Results as text tables of at most 100 columns."""

import textwrap
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from xbench.metrics.measures import parse_measure
from xbench.reports.record.naming import is_of_own_benchmark, protocol_of
from xbench.reports.record.schema import DIRECTIONS, Result
from xbench.terms import Direction

WIDTH = 100
_COLUMNS = 6
NOT_COMPARABLE = "NOT COMPARABLE with published numbers"


def render(result: Result) -> str:
    """Return one result: what was scored, the metrics of both directions, and why it is not comparable."""
    head = f"{_protocol(result)}: {model_name(result)}, {_sizes(result)}"
    parts = [_fill(head), *_interval_tables(result)]
    parts += [_fill(line) for line in tie_lines(result)]
    parts += [_fill(f"Note: {note}") for note in _notes(result)]
    return "\n".join([*parts, *verdict(result)])


def render_many(results: Sequence[Result]) -> str:
    """Return one table for several results, a block of rows per result, as papers print it."""
    names = [_protocol(result) + (" *" if not result.comparable else "") for result in results]
    models = [model_name(result) for result in results]
    if len(set(models)) == 1:
        head, keys = [models[0]], [[name] for name in names]
        header = ["protocol", ""]
    else:
        head, keys = [], [list(key) for key in zip(names, models, strict=True)]
        header = ["protocol", "model", ""]
    footnotes = [
        line
        for result in results
        if not result.comparable
        for line in (f"* {_protocol(result)}: {NOT_COMPARABLE}:", *_reasons(result))
    ]
    return "\n".join([*head, metric_table(results, header, keys), *footnotes])


def _notes(result: Result) -> list[str]:
    """What a reader should know and the reasons do not say already; the same note of several videos once."""
    videos = Counter(note.note for note in result.videos.notes)
    said = [note for note in result.protocol.notes if note not in result.not_comparable_because]
    return [*said, *(f"{count} of {result.videos.scored} videos: {note}" for note, count in videos.items())]


def _interval_tables(result: Result) -> list[str]:
    """Tables of values with their intervals below them, of so many columns each that they fit."""
    names = list(dict.fromkeys(name for side in result.metrics.values() for name in side))
    tables = []
    for start in range(0, len(names), _COLUMNS):
        part = names[start : start + _COLUMNS]
        rows = [
            row
            for side in DIRECTIONS
            if side in result.metrics
            for row in (
                [side, *(_value(result, side, name) for name in part)],
                ["  95%", *(_interval(result, side, name) for name in part)],
            )
            if any(row[1:])
        ]
        align = ["left"] + ["right"] * len(part)
        table = tabulate(rows, ["", *part], tablefmt="simple", disable_numparse=True, colalign=align)
        tables.append(table)
    return tables


def metric_table(results: Sequence[Result], header: Sequence[str], keys: Sequence[Sequence[str]]) -> str:
    """Return a row per result and direction, a column per measure; absent values stay empty."""
    names = list(dict.fromkeys(name for r in results for side in r.metrics.values() for name in side))
    rows = [
        [*(key if first else [""] * len(key)), side, *(_value(result, side, name) for name in names)]
        for key, result in zip(keys, results, strict=True)
        for first, side in _numbered([side for side in DIRECTIONS if side in result.metrics])
    ]
    align = ["left"] * len(header) + ["right"] * len(names)
    return tabulate(rows, [*header, *names], tablefmt="simple", disable_numparse=True, colalign=align)


def model_name(result: Result) -> str:
    """Return the scorer's name with its backbone, and the post-processing that it was given."""
    backbone = result.scorer.settings.get("backbone")
    post = f" + {result.post_processing}" if result.post_processing != "none" else ""
    return f"{result.scorer.name}{f' {backbone}' if backbone else ''}{post}"


def signed(value: float, digits: int) -> str:
    """Print a difference with its sign; what rounds to zero is +0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def tie_lines(result: Result) -> list[str]:
    """Say what ties and vanished queries mean for the numbers, where there were any."""
    lines = []
    for side, tied in result.ties.tied.items():
        if tied:
            policy = result.ties.policy.value
            lines.append(f"{side}: {tied} of {result.queries[side]} queries are tied; ties ranked: {policy}")
    for side, vanished in result.ties.vanished.items():
        if vanished:
            lines.append(
                f"{side}: {vanished} of {result.queries[side]} queries have no finite score and vanished from"
                " the denominator, as in the published code"
            )
    return lines


def _protocol(result: Result) -> str:
    name, requested = protocol_of(result), result.protocol.requested
    return f"{name} (asked for {requested})" if requested not in name else name


def _sizes(result: Result) -> str:
    captions, videos = result.protocol.fingerprint.captions, result.videos
    of = f" of {videos.wanted}" if videos.wanted != videos.scored else ""
    scored = result.queries["t2v"]
    return f"{scored}{f' of {captions}' if scored != captions else ''} captions, {videos.scored}{of} videos"


def _value(result: Result, side: Direction, name: str) -> str:
    metric = result.metrics[side].get(name)
    return "" if metric is None else parse_measure(name).format(metric.value)


def _interval(result: Result, side: Direction, name: str) -> str:
    metric = result.metrics[side].get(name)
    if metric is None or metric.low is None or metric.high is None:
        return ""
    measure = parse_measure(name)
    return f"{measure.format(metric.low)} - {measure.format(metric.high)}"


def verdict(result: Result) -> list[str]:
    """Say whether a result can stand beside published numbers, and if not, why."""
    if result.comparable and is_of_own_benchmark(result):
        return [_fill(f"The full protocol {result.protocol.matched}; no published row.")]
    if result.comparable:
        return [_fill(f"Comparable with published numbers of {result.protocol.matched}.")]
    return [f"{NOT_COMPARABLE}, because:", *_reasons(result)]


def _reasons(result: Result) -> list[str]:
    return [
        textwrap.fill(reason, WIDTH, initial_indent="  - ", subsequent_indent="    ")
        for reason in result.not_comparable_because
    ]


def _numbered(sides: Sequence[Direction]) -> list[tuple[bool, Direction]]:
    return [(index == 0, side) for index, side in enumerate(sides)]


def _fill(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ")
