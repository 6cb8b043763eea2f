"""The pages of one result, or of two: what they need is read, pairs are explained, the page is made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xbench.pipeline.explaining import ModelOptions, Pair, explain_pairs
from xbench.pipeline.material import Places, find_places, gather, with_strips
from xbench.progress import say
from xbench.reports.compare.pairing import require_same_queries
from xbench.reports.page.figures import figures
from xbench.reports.page.findings import Material, outcomes_of, shown_queries
from xbench.reports.page.report import render_report
from xbench.reports.page.versus import PAGES, beside, render_versus
from xbench.reports.record.files import Measurement


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user says of pages: where things are that no record tells, how many captions are explained."""

    annotations: Path | None = None
    videos: Path | None = None
    similarity: Sequence[Path | None] = (None, None)
    """Of each result."""
    explained: int = 0
    model: ModelOptions | None = None


def report(results: Sequence[Measurement], wanted: Wanted) -> dict[str, str]:
    """Return pages by name, the first of which is where one begins: of one result, or of two side by side.

    Raises UsageError for two that scored other queries; DataError and ModelError for what the user named and
    is not there or not of the run, and where pairs cannot be explained.
    """
    places, materials = _gathered(results, wanted)
    pages = [
        _page(measured, material, place, wanted)
        for measured, material, place in zip(results, materials, places, strict=True)
    ]
    if len(results) == 1:
        return {"index.html": pages[0]}
    both = beside(results[0], results[1], materials)
    if both.material.video_ids is not None:
        both = replace(both, material=with_strips(results[0], both.material, places[0], both.videos_shown))
    return {"index.html": render_versus(both)} | dict(zip(PAGES, pages, strict=True))


def figures_of(results: Sequence[Measurement], wanted: Wanted) -> dict[str, str]:
    """Return the charts of results over the same queries as SVG files by name.

    Raises what `report` does, and UsageError for more results than a chart can tell apart.
    """
    places, materials = _gathered(results, wanted)
    explained = [
        _explained(measured, material, place, wanted)
        for measured, material, place in zip(results, materials, places, strict=True)
    ]
    return figures(results, explained)


def _gathered(results: Sequence[Measurement], wanted: Wanted) -> tuple[list[Places], list[Material]]:
    for other in results[1:]:
        require_same_queries(results[0], other)
    similarity = [*wanted.similarity, *[None] * len(results)]
    places = [
        find_places(each.record, wanted.annotations, wanted.videos, path)
        for each, path in zip(results, similarity, strict=False)
    ]
    say("Reading captions, similarity and videos")
    return places, [gather(each, place) for each, place in zip(results, places, strict=True)]


def _explained(measured: Measurement, material: Material, places: Places, wanted: Wanted) -> Material:
    if not wanted.explained:
        return material
    pairs = _pairs(measured, material, wanted.explained)
    return replace(material, explained=explain_pairs(measured, material, places, pairs, wanted.model))


def _page(measured: Measurement, material: Material, places: Places, wanted: Wanted) -> str:
    return render_report(measured, _explained(measured, material, places, wanted))


def _pairs(measured: Measurement, material: Material, most: int) -> list[Pair]:
    """The worst captions, each with its video and those that it retrieved first."""
    outcomes = outcomes_of(measured, material.similarity)
    worst, _ = shown_queries(measured, outcomes["t2v"], "t2v")
    return [
        (query.index, video)
        for query in worst[:most]
        for video in dict.fromkeys([query.video, *(found.item for found in query.first)])
    ]
