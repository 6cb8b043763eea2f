"""The charts of pages as files: SVG in the colours of print, several runs in one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xbench.errors import UsageError
from xbench.reports.page.charts import SERIES, Shape, bar_chart, line_chart, svg
from xbench.reports.page.findings import Material, curves, require_own_matrix, shares_beside
from xbench.reports.page.matrix import Heat, heat_of, hubs_of
from xbench.reports.page.report import DIRECTION_NAMES, charts_of
from xbench.reports.page.versus import beside, rank_against_rank
from xbench.reports.pages import asset
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS, label_of, model_name

_SIDE = 400


def figures(runs: Sequence[Measurement], materials: Sequence[Material]) -> dict[str, str]:
    """Return SVG files by name: of one run those of its page, of several what can stand in one chart.

    The runs are over the same queries. materials: those of each run, in its own order. Raises UsageError for
    more runs than a chart can tell apart, DataError when a matrix is not the one that its run was made from.
    """
    if len(runs) > SERIES:
        raise UsageError(
            f"--figures: a chart tells at most {SERIES} runs apart, not {len(runs)}: leave some out"
        )
    pictures = dict(_of_several(runs, materials) if len(runs) > 1 else _of_one(runs[0]))
    for index, (run, material) in enumerate(zip(runs, materials, strict=True), 1):
        end = f"-{index}" if len(runs) > 1 else ""
        found = _of_matrix(run, material.similarity) if material.similarity is not None else {}
        found |= {f"why-{number}": why.picture for number, why in enumerate(material.explained, 1)}
        pictures |= {f"{name}{end}": picture for name, picture in found.items()}
    return {f"{name}.svg": standalone(picture) for name, picture in pictures.items()}


def standalone(picture: Markup) -> str:
    """Return a picture of a page with the styles that it needs, all colours fixed."""
    head, rest = picture.split(">", 1)
    return f"{head}><style>{asset('figure.css')}</style>{rest}\n"


def _of_one(run: Measurement) -> Iterator[tuple[str, Markup]]:
    for name, chart in zip(("recall", "ranks", "directions"), charts_of(run), strict=True):
        yield name, chart.svg


def _of_several(runs: Sequence[Measurement], materials: Sequence[Material]) -> Iterator[tuple[str, Markup]]:
    names = _names(runs)
    for side in DIRECTIONS:
        title = DIRECTION_NAMES[side]
        lines = [
            replace(line, name=name)
            for run, name in zip(runs, names, strict=True)
            for line in curves(run)
            if line.name == side
        ]
        if lines:
            yield f"recall-{side}", line_chart(f"Recall at K, {title}", lines, "K", named_below=True)
        labels, shares = shares_beside(runs, side)
        series = list(zip(names, shares, strict=True))
        ranks = f"rank of the right item, {title}"
        yield (
            f"ranks-{side}",
            bar_chart("Where the right item is ranked", labels, series, ranks, named_below=True),
        )
    for index, run in enumerate(runs, 1):
        *_, directions = charts_of(run)
        yield f"directions-{index}", directions.svg
    if len(runs) == 2:
        both = beside(runs[0], runs[1], materials)
        for side in DIRECTIONS:
            yield f"against-{side}", rank_against_rank(both, side).svg


def _names(runs: Sequence[Measurement]) -> list[str]:
    """What tells the runs apart: label, else model, else both with the file."""
    for names in ([label_of(run.record) for run in runs], [model_name(run.record) for run in runs]):
        if all(names) and len(set(names)) == len(names):
            return names
    return [run.name for run in runs]


def _of_matrix(run: Measurement, similarity: NDArray[np.floating]) -> dict[str, Markup]:
    require_own_matrix(run, similarity)
    heat = heat_of(run, similarity)
    return {"hubs": hubs_of(run, similarity).svg, "similarity": _picture(heat)}


def _picture(heat: Heat) -> Markup:
    place = {"x": "0", "y": "0", "width": str(_SIDE), "height": str(_SIDE), "preserveAspectRatio": "none"}
    image = Shape("image", {**place, "href": f"data:image/png;base64,{heat.png}", "class": "pixels"})
    return svg("Similarity of captions (rows) and videos (columns)", [image], (_SIDE, _SIDE))
