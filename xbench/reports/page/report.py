"""One run as a page for people who look rather than read."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xbench.metrics.measures import in_order
from xbench.reports.page.charts import Chart, bar_chart, grid_chart, line_chart
from xbench.reports.page.findings import (
    Material,
    Strip,
    both_directions,
    curves,
    outcomes_of,
    rank_shares,
    require_own_matrix,
    shown_queries,
    videos_shown,
)
from xbench.reports.page.listing import list_queries
from xbench.reports.page.matrix import heat_of, hubs_of
from xbench.reports.page.why import Why
from xbench.reports.pages import render
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS, model_name, protocol_of
from xbench.reports.record.text import NOT_COMPARABLE, stage_lines, tie_lines, verdict
from xbench.terms import Direction

MAX_BYTES = 20_000_000
_STRIP_BYTES = 4_000_000
_WHY_BYTES = 3_000_000
DIRECTION_NAMES: dict[Direction, str] = {"t2v": "text to video", "v2t": "video to text"}


@dataclass(frozen=True)
class Picture:
    """A strip as a page holds it."""

    base64: str
    seconds: tuple[float, ...]
    frames: int | None


def render_report(measured: Measurement, material: Material) -> str:
    """Return the page: self-contained, under 20 MB.

    Raises DataError when the similarity is not the one that the run was made from.
    """
    record, similarity = measured.record, material.similarity
    if similarity is not None:
        require_own_matrix(measured, similarity)
    outcomes = outcomes_of(measured, similarity)
    shown = {side: shown_queries(measured, found, side) for side, found in outcomes.items()}
    worst, random = ({side: lists[index] for side, lists in shown.items()} for index in range(2))
    pictured = {side: [query.index for query in worst[side] + random[side]] for side in DIRECTIONS}
    runs = {side: [found] for side, found in outcomes.items()}
    listing, left_out = list_queries(measured, material, [model_name(record)], runs, pictured)
    explained = _fitting_why(material.explained)
    page = render(
        "report.html",
        title=f"{protocol_of(record)}: {model_name(record)}",
        head=_head(measured),
        record=record,
        directions=DIRECTION_NAMES,
        not_comparable=NOT_COMPARABLE,
        standing=" ".join(verdict(record)) if record.comparable else "",
        metrics=in_order({name for side in record.metrics.values() for name in side}),
        remarks=[*tie_lines(record), *stage_lines(record), *record.protocol.notes],
        charts=list(charts_of(measured)),
        heat=None if similarity is None else heat_of(measured, similarity),
        hubs=None if similarity is None else hubs_of(measured, similarity),
        worst=worst,
        random=random,
        listing=listing,
        left_out=left_out,
        missing=[*material.missing, *_too_much(material, explained)],
        own_captions=captions_of(measured),
        strips=fitting(material.strips, videos_shown(shown)),
        explained=explained,
        **texts_of(material),
    )
    return str(page)


def texts_of(material: Material) -> dict[str, Sequence[str] | None]:
    """Return captions, as one line each, and names of videos for a template."""
    captions = material.captions and [" ".join(caption.split()) for caption in material.captions]
    return {"captions": captions, "names": material.video_ids}


def captions_of(measured: Measurement) -> dict[int, list[int]]:
    """Return the captions of each video."""
    found: dict[int, list[int]] = {}
    for caption, video in enumerate(measured.counts.caption_to_video.tolist()):
        found.setdefault(video, []).append(caption)
    return found


def fitting(strips: Mapping[int, Strip], wanted: Iterable[int]) -> dict[int, Picture]:
    """Return the strips of videos that fit a page, first come first."""
    kept, used = {}, 0
    for video in dict.fromkeys(wanted):
        if video in strips and used + len(strips[video].jpeg) <= _STRIP_BYTES:
            strip = strips[video]
            used += len(strip.jpeg)
            kept[video] = Picture(base64.b64encode(strip.jpeg).decode(), strip.seconds, strip.frames)
    return kept


def _too_much(material: Material, explained: Sequence[Why]) -> list[str]:
    """What is said of explanations that do not fit."""
    many = len(material.explained) - len(explained)
    return (
        [f"{many} explanations are left out, for the size of the page: see `xbench explain`."] if many else []
    )


def _fitting_why(explained: Iterable[Why]) -> list[Why]:
    """The explanations that fit the page."""
    kept, used = [], 0
    for why in explained:
        used += len(why.picture)
        if used <= _WHY_BYTES:
            kept.append(why)
    return kept


def _head(measured: Measurement) -> str:
    record = measured.record
    checkpoint = f", checkpoint {record.checkpoint.file}" if record.checkpoint else ""
    return (
        f"{record.protocol.fingerprint.captions:,} captions, {record.videos.scored:,} of"
        f" {record.videos.wanted:,} videos, {record.created[:10]}{checkpoint}"
    )


def charts_of(measured: Measurement) -> Iterable[Chart]:
    """Yield the charts of a run that need its counts alone: recall, ranks, both directions."""
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
