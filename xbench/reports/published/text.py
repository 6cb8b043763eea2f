"""The difference from the published numbers as text of at most 100 columns."""

from tabulate import tabulate

from xbench.metrics.measures import Measure, parse_measure
from xbench.reports.pages import Table, notebook
from xbench.reports.published.difference import AgainstClaim, AgainstValue, Difference
from xbench.reports.record.text import fill, signed, verdict

_ABSENT = "not given"


def render_difference(difference: Difference) -> str:
    """Return whether to compare at all, a table for each claim with what forbids it, and notes."""
    if not difference.comparisons:
        return _nothing_published(difference)
    seen = [fill(f"Seen: {effect}.") for effect in difference.effects]
    blocks = ["\n".join([*verdict(difference.record), *seen])]
    blocks += ["\n".join(_comparison(each)) for each in difference.comparisons]
    blocks += [fill(f"Note: {note}") for note in difference.notes]
    return "\n\n".join(blocks)


def _nothing_published(difference: Difference) -> str:
    name = difference.model or difference.record.scorer.name
    benchmark = difference.record.benchmark
    if not difference.others:
        return f"There are no published numbers on {benchmark}."
    others = ", ".join(difference.others)
    return fill(f"There are no published numbers of {name} on {benchmark}; --model takes: {others}.")


def difference_in_notebook(difference: Difference) -> str:
    """Return the same as HTML for a notebook."""
    if not difference.comparisons:
        return notebook(_nothing_published(difference), [])
    tables = [
        Table(*_table(each), [_title(each), *(f"Not comparable: {reason}" for reason in each.reasons)])
        for each in difference.comparisons
    ]
    seen = [f"Seen: {effect}." for effect in difference.effects]
    said = [line for each in difference.comparisons for line in _below(each)]
    return notebook(verdict(difference.record)[0], tables, [*seen, *dict.fromkeys(said), *difference.notes])


def _comparison(each: AgainstClaim) -> list[str]:
    reasons = [fill(f"Not comparable: {reason}") for reason in each.reasons]
    if not each.rows:
        return [fill(_title(each)), *reasons, *map(fill, _below(each))]
    header, rows = _table(each)
    align = ["left", "left", *["right"] * (len(header) - 3), "left"]
    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=align)
    return [fill(_title(each)), *reasons, table, *map(fill, _below(each))]


def _title(each: AgainstClaim) -> str:
    claim = each.claim
    extra = f", {claim.post_processing}" if claim.post_processing != "none" else ""
    return f"{claim.model} {claim.backbone} on {claim.protocol}, {claim.setting}{extra}"


def _table(each: AgainstClaim) -> tuple[list[str], list[list[str]]]:
    with_intervals = any(row.low is not None for row in each.rows)
    interval = ["95% interval"] if with_intervals else []
    header = ["", "metric", "value", *interval, "published", "difference", ""]
    return header, [_cells(row, with_intervals) for row in each.rows]


def _below(each: AgainstClaim) -> list[str]:
    others = [
        f"{row.direction} {row.metric}: other sources give {', '.join(row.contradicted_by)}"
        for row in each.rows
        if row.contradicted_by
    ]
    odd = [f"{row.direction} {row.metric}: {row.note}" for row in each.rows if row.note]
    caveats = [f"Mind: {caveat}" for caveat in each.caveats]
    return [*others, *odd, *caveats, f"Source: {'; '.join(each.sources)}"]


def _cells(row: AgainstValue, with_intervals: bool) -> list[str]:
    measure = parse_measure(row.metric)
    cells = [row.direction, row.metric, measure.format(row.value)]
    if with_intervals:
        cells.append("" if row.low is None or row.high is None else _interval(measure, row.low, row.high))
    if row.claimed is None or row.difference is None:
        return [*cells, _ABSENT, "", ""]
    interval = "rough interval" if row.rough else "interval"
    inside = {None: "", True: f"inside the {interval}", False: f"outside the {interval}"}[row.inside]
    said = ", ".join(part for part in (inside, "secondary" if row.standing == "secondary" else "") if part)
    return [*cells, measure.format(row.claimed), signed(row.difference, measure.digits), said]


def _interval(measure: Measure, low: float, high: float) -> str:
    return f"{measure.format(low)} - {measure.format(high)}"
