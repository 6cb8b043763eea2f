"""The parts of a report that need the similarity matrix: its picture, and videos retrieved too often."""

import base64
import io
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.neighbours import Hubness, downsample, hubness, top_columns
from xbench.reports.page.charts import bar_chart
from xbench.reports.page.findings import Material
from xbench.reports.pages import tag
from xbench.reports.record.files import Measurement

_PIXELS = 400
_TOP = 10
_SHOWN_HUBS = 10
_ANCHORS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Five colours of viridis, dark to light: readable without colour vision, in light and dark."""


def matrix_sections(measured: Measurement, material: Material) -> list[str]:
    """Return the picture of the matrix and the hubs, or how to get them."""
    if material.similarity is None:
        how = "Run with --save-similarity FILE.npy and give --similarity FILE.npy to see it."
        return [
            tag("h2", "Similarity", id="matrix"),
            tag("p", f"The similarity matrix is not at hand. {how}", class_="soft"),
            tag("h2", "Hubs", id="hubs"),
            tag("p", "Hubs are counted from the similarity matrix.", class_="soft"),
        ]
    return [*_picture(measured, material.similarity), *_hubs(measured, material)]


def _picture(measured: Measurement, similarity: NDArray[np.floating]) -> list[str]:
    order = np.argsort(measured.counts.caption_to_video, kind="stable")
    in_order = bool((np.diff(order) > 0).all())
    small = downsample(similarity if in_order else np.asarray(similarity)[order], _PIXELS)
    known = small[np.isfinite(small)]
    low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 1.0)
    image = tag_image(
        _png(small, float(low), float(high)), "similarity of captions (rows) and videos (columns)"
    )
    stops = ", ".join(f"rgb{anchor}" for anchor in _ANCHORS)
    scale = f'<div class="scale">{low:.3g}<i style="--stops: {stops}"></i>{high:.3g}</div>'
    rows, columns = similarity.shape
    several = small.shape != similarity.shape
    each = f"the mean of {rows / small.shape[0]:.1f} x {columns / small.shape[1]:.1f} scores"
    caption = (
        f"{rows:,} captions (rows, in the order of their videos) against {columns:,} videos (columns); each"
        f" point is {each if several else 'one score'}{_stage(measured)}. A good model shows a bright"
        " diagonal; bright columns are hubs."
    )
    figure = tag("figure", image + scale + tag("figcaption", escape(caption)), class_="heat")
    return [tag("h2", "Similarity", id="matrix"), figure]


def _stage(measured: Measurement) -> str:
    processed = measured.record.post_processing != "none"
    return f" before post-processing ({measured.record.post_processing})" if processed else ""


def tag_image(png: bytes, alt: str) -> str:
    """Return an image that is part of the page."""
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escape(alt)}">'


def _png(values: NDArray[np.float64], low: float, high: float) -> bytes:
    from PIL import Image

    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    steps = np.linspace(0, 1, len(_ANCHORS))
    channels = [np.interp(scaled, steps, [anchor[c] for anchor in _ANCHORS]) for c in range(3)]
    stream = io.BytesIO()
    Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).quantize(64).save(
        stream, "PNG", optimize=True
    )
    return stream.getvalue()


def _hubs(measured: Measurement, material: Material) -> list[str]:
    assert material.similarity is not None
    top = top_columns(material.similarity, _TOP)
    found = hubness(top, material.similarity.shape[1])
    own = (top == measured.counts.caption_to_video[:, None]).any(axis=1)
    rightly = np.bincount(measured.counts.caption_to_video[own], minlength=len(found.occurrences))
    caption = (
        f"In how many captions' first {found.k} each video stands{_stage(measured)}: {found.expected:.1f} if"
        f" all were retrieved evenly. {found.never} of {len(found.occurrences)} videos stand in none."
        f" Skewness {found.skewness:.2f} (0 is even, above 1 there are marked hubs)."
    )
    labels, shares = _histogram(found)
    chart = bar_chart("Hubness", labels, [("videos", shares)], f"times among a caption's first {found.k}")
    figure = tag("figure", chart + tag("figcaption", escape(caption)))
    table = _hub_table(found, rightly, material)
    return [tag("h2", "Hubs", id="hubs"), tag("div", figure + table, class_="figures")]


def _histogram(found: Hubness) -> tuple[list[str], list[float]]:
    edges = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 1 << 60]
    last = int(np.searchsorted(edges, found.occurrences.max(), side="right"))
    kept = edges[: last + 1]
    counts, _ = np.histogram(found.occurrences, bins=np.array(kept) - 0.5)
    names = [f"{a}" if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(kept)]
    return names, [float(share) for share in 100 * counts / len(found.occurrences)]


def _hub_table(found: Hubness, rightly: NDArray[np.int64], material: Material) -> str:
    order = np.argsort(-found.occurrences, kind="stable")[:_SHOWN_HUBS]
    head = "".join(
        tag("th", name, scope="col") for name in ("most retrieved video", f"in first {found.k}", "rightly")
    )
    rows = []
    for video in order.tolist():
        name = f"video {video + 1}" if material.video_ids is None else material.video_ids[video]
        times, right = int(found.occurrences[video]), int(rightly[video])
        rows.append(tag("tr", tag("td", escape(name), class_="model") + _number(times) + _number(right)))
    return tag(
        "div", tag("table", tag("thead", tag("tr", head)) + tag("tbody", "".join(rows))), class_="scroll"
    )


def _number(value: int) -> str:
    return tag("td", f"{value:,}", class_="number")
