"""One run as a page for people who look rather than read."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from xbench.metrics.measures import parse_measure
from xbench.reports.compare.pairing import clusters_of
from xbench.reports.page.charts import bar_chart, grid_chart, line_chart
from xbench.reports.page.findings import (
    Material,
    both_directions,
    curves,
    rank_shares,
    require_own_matrix,
    shown_queries,
)
from xbench.reports.page.matrix import matrix_sections
from xbench.reports.page.queries import query_sections
from xbench.reports.pages import page, tag
from xbench.reports.record.files import Measurement
from xbench.reports.record.naming import model_name, protocol_of
from xbench.reports.record.schema import DIRECTIONS, Metric, Record
from xbench.reports.record.text import NOT_COMPARABLE, tie_lines

MAX_BYTES = 5_000_000
_THUMBNAIL_BYTES = 3_000_000


def render_report(measured: Measurement, material: Material) -> str:
    """Return the page: self-contained, under 5 MB.

    Raises DataError when the similarity is not the one that the run was made from.
    """
    if material.similarity is not None:
        require_own_matrix(measured, material.similarity)
    worst, random = shown_queries(measured, material.similarity)
    wanted = dict.fromkeys(
        video for query in [*worst, *random] for video in (query.video, *dict(query.wrong))
    )
    thumbnails = _fitting(material.thumbnails, wanted)
    title = f"{protocol_of(measured.record)}: {model_name(measured.record)}"
    body = [
        tag("h1", escape(title)),
        *_head(measured),
        tag("h2", "Recall and ranks", id="ranks"),
        tag("div", "".join(_figures(measured)), class_="figures"),
        *matrix_sections(measured, material),
        *query_sections("worst", "The 20 worst captions", worst, material, thumbnails),
        *query_sections("random", "20 random captions", random, material, thumbnails),
        *([_thumbnail_styles(thumbnails)] if thumbnails else []),
    ]
    return page(title, body, styles=["page.css", "report.css"])


def _head(measured: Measurement) -> Iterable[str]:
    record = measured.record
    checkpoint = f", checkpoint {record.checkpoint.file}" if record.checkpoint else ""
    fingerprint = record.protocol.fingerprint
    yield tag(
        "p",
        escape(
            f"{fingerprint.captions:,} captions, {record.videos.scored:,} of {record.videos.wanted:,} videos,"
            f" {record.created[:10]}{checkpoint}"
        ),
        class_="soft",
    )
    if not record.comparable:
        reasons = "".join(tag("li", escape(reason)) for reason in record.not_comparable_because)
        yield tag("div", tag("strong", NOT_COMPARABLE) + tag("ul", reasons), class_="warning")
    yield tag("nav", "".join(tag("a", escape(name), href=f"#{anchor}") for anchor, name in _ANCHORS.items()))
    yield _metrics(record)
    yield tag("p", "Recalls in percent; below each value its 95% interval.", class_="remark")
    for line in [*tie_lines(record), *record.protocol.notes]:
        yield tag("p", escape(line), class_="remark")


_ANCHORS = {
    "ranks": "Recall and ranks",
    "matrix": "Similarity",
    "hubs": "Hubs",
    "worst": "Worst captions",
    "random": "Random captions",
}


def _metrics(record: Record) -> str:
    names = list(dict.fromkeys(name for side in record.metrics.values() for name in side))
    head = tag("th", "") + "".join(tag("th", escape(name), class_="number", scope="col") for name in names)
    rows = "".join(
        tag(
            "tr",
            tag("th", side, scope="row")
            + "".join(_cell(name, record.metrics[side].get(name)) for name in names),
        )
        for side in DIRECTIONS
        if side in record.metrics
    )
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows), class_="metrics"),
        class_="scroll",
    )


def _cell(name: str, metric: Metric | None) -> str:
    if metric is None:
        return tag("td", "", class_="number")
    measure = parse_measure(name)
    text = measure.format(metric.value)
    if metric.low is not None and metric.high is not None:
        about = "about " if metric.rough else ""
        text += tag("small", f"{about}{measure.format(metric.low)} – {measure.format(metric.high)}")
    return tag("td", text, class_="number")


def _figures(measured: Measurement) -> Iterable[str]:
    yield _figure(
        line_chart("Recall at K", curves(measured), "K"),
        "Recall at K, with the 95% band of the bootstrap over queries.",
    )
    labels, series = rank_shares(measured)
    yield _figure(
        bar_chart("Where the right item is ranked", labels, series, "rank of the right item"),
        "How many queries have their right item at which rank.",
    )
    labels, cells = both_directions(measured)
    median = " (median over its captions)" if clusters_of(measured.counts, "t2v") is not None else ""
    yield _figure(
        grid_chart("Both directions", labels, cells, ("t2v rank", "v2t rank")),
        f"Percentage of videos by their rank in both directions: text to video{median} and video to text."
        " Far from the diagonal are videos that one direction finds and the other does not.",
    )


def _figure(chart: str, caption: str) -> str:
    return tag("figure", chart + tag("figcaption", escape(caption)))


def _fitting(thumbnails: Mapping[int, bytes], wanted: Iterable[int]) -> dict[int, bytes]:
    """The wanted thumbnails that fit the page, first come first."""
    kept, used = {}, 0
    for video in wanted:
        if video in thumbnails and used + len(thumbnails[video]) <= _THUMBNAIL_BYTES:
            kept[video] = thumbnails[video]
            used += len(thumbnails[video])
    return kept


def _thumbnail_styles(thumbnails: Mapping[int, bytes]) -> str:
    """One rule for each video, however often it is shown."""
    rules: Sequence[str] = [
        f".v{video}{{background-image:url(data:image/jpeg;base64,{base64.b64encode(data).decode()})}}"
        for video, data in thumbnails.items()
    ]
    return tag("style", "\n".join(rules))
