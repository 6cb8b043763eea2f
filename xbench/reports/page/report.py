"""One run as a page for people who look rather than read."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from xbench.metrics.measures import in_order
from xbench.reports.page.charts import bar_chart, grid_chart, line_chart
from xbench.reports.page.findings import (
    Material,
    both_directions,
    curves,
    rank_shares,
    require_own_matrix,
    shown_queries,
)
from xbench.reports.page.matrix import heat_of, hubs_of
from xbench.reports.pages import render
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import model_name, protocol_of
from xbench.reports.record.text import NOT_COMPARABLE, stage_lines, tie_lines, verdict

MAX_BYTES = 5_000_000
_THUMBNAIL_BYTES = 3_000_000


@dataclass(frozen=True)
class Chart:
    """A figure of the page."""

    svg: Markup
    caption: str


def render_report(measured: Measurement, material: Material) -> str:
    """Return the page: self-contained, under 5 MB.

    Raises DataError when the similarity is not the one that the run was made from.
    """
    record, similarity = measured.record, material.similarity
    if similarity is not None:
        require_own_matrix(measured, similarity)
    worst, random = shown_queries(measured, similarity)
    wanted = dict.fromkeys(
        video for query in [*worst, *random] for video in (query.video, *dict(query.wrong))
    )
    page = render(
        "report.html",
        title=f"{protocol_of(record)}: {model_name(record)}",
        head=_head(measured),
        record=record,
        not_comparable=NOT_COMPARABLE,
        standing=" ".join(verdict(record)) if record.comparable else "",
        metrics=in_order({name for side in record.metrics.values() for name in side}),
        remarks=[*tie_lines(record), *stage_lines(record), *record.protocol.notes],
        charts=list(_charts(measured)),
        heat=None if similarity is None else heat_of(measured, similarity),
        hubs=None if similarity is None else hubs_of(measured, similarity),
        worst=worst,
        random=random,
        missing=material.missing,
        captions=material.captions and [" ".join(caption.split()) for caption in material.captions],
        names=material.video_ids,
        thumbnails=_fitting(material.thumbnails, wanted),
    )
    return str(page)


def _head(measured: Measurement) -> str:
    record = measured.record
    checkpoint = f", checkpoint {record.checkpoint.file}" if record.checkpoint else ""
    return (
        f"{record.protocol.fingerprint.captions:,} captions, {record.videos.scored:,} of"
        f" {record.videos.wanted:,} videos, {record.created[:10]}{checkpoint}"
    )


def _charts(measured: Measurement) -> Iterable[Chart]:
    yield Chart(
        line_chart("Recall at K", curves(measured), "K"),
        "Recall at K, with the 95% band of the bootstrap over queries.",
    )
    labels, series = rank_shares(measured)
    yield Chart(
        bar_chart("Where the right item is ranked", labels, series, "rank of the right item"),
        "How many queries have their right item at which rank.",
    )
    labels, cells = both_directions(measured)
    several = len(measured.counts.t2v) > len(measured.counts.v2t)
    median = " (median over its captions)" if several else ""
    yield Chart(
        grid_chart("Both directions", labels, cells, ("t2v rank", "v2t rank")),
        f"Percentage of videos by their rank in both directions: text to video{median} and video to text."
        " Far from the diagonal are videos that one direction finds and the other does not.",
    )


def _fitting(thumbnails: Mapping[int, bytes], wanted: Iterable[int]) -> dict[int, str]:
    """The wanted thumbnails that fit the page, first come first, in base64."""
    kept, used = {}, 0
    for video in wanted:
        if video in thumbnails and used + len(thumbnails[video]) <= _THUMBNAIL_BYTES:
            kept[video] = base64.b64encode(thumbnails[video]).decode()
            used += len(thumbnails[video])
    return kept
