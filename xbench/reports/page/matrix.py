"""The parts of a report that need the similarity matrix: its picture, and videos retrieved too often."""

import base64
import io
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xbench.metrics.neighbours import Hubness, downsample, hubness, top_columns
from xbench.reports.page.charts import bar_chart
from xbench.reports.record.files import Measurement

_PIXELS = 400
_TOP = 10
_SHOWN_HUBS = 10
_ANCHORS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Five colours of viridis, dark to light: readable without colour vision, in light and dark."""


@dataclass(frozen=True)
class Heat:
    """The matrix as a picture (PNG, base64), and the scores of its darkest and lightest colours."""

    png: str
    low: float
    high: float
    stops: str
    caption: str


@dataclass(frozen=True)
class Hubs:
    """A chart of how often videos are retrieved, and the most retrieved as (video, times, times rightly)."""

    svg: Markup
    caption: str
    k: int
    rows: tuple[tuple[int, int, int], ...]


def heat_of(measured: Measurement, similarity: NDArray[np.floating]) -> Heat:
    """Draw the matrix, captions in the order of their videos."""
    order = np.argsort(measured.counts.caption_to_video, kind="stable")
    in_order = bool((np.diff(order) > 0).all())
    small = downsample(similarity if in_order else np.asarray(similarity)[order], _PIXELS)
    known = small[np.isfinite(small)]
    low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 1.0)
    rows, columns = similarity.shape
    several = small.shape != similarity.shape
    each = f"the mean of {rows / small.shape[0]:.1f} x {columns / small.shape[1]:.1f} scores"
    caption = (
        f"{rows:,} captions (rows, in the order of their videos) against {columns:,} videos (columns); each"
        f" point is {each if several else 'one score'}{_stage(measured)}. A good model shows a bright"
        " diagonal; bright columns are hubs."
    )
    png = base64.b64encode(_png(small, float(low), float(high))).decode()
    return Heat(png, float(low), float(high), ", ".join(f"rgb{anchor}" for anchor in _ANCHORS), caption)


def hubs_of(measured: Measurement, similarity: NDArray[np.floating]) -> Hubs:
    """Count in how many captions' first ten each video stands."""
    top = top_columns(similarity, _TOP)
    found = hubness(top, similarity.shape[1])
    own = (top == measured.counts.caption_to_video[:, None]).any(axis=1)
    rightly = np.bincount(measured.counts.caption_to_video[own], minlength=len(found.occurrences))
    caption = (
        f"In how many captions' first {found.k} each video stands{_stage(measured)}: {found.expected:.1f} if"
        f" all were retrieved evenly. {found.never} of {len(found.occurrences)} videos stand in none."
        f" Skewness {found.skewness:.2f} (0 is even, above 1 there are marked hubs)."
    )
    labels, shares = _histogram(found)
    chart = bar_chart("Hubness", labels, [("videos", shares)], f"times among a caption's first {found.k}")
    most = np.argsort(-found.occurrences, kind="stable")[:_SHOWN_HUBS].tolist()
    rows = tuple((video, int(found.occurrences[video]), int(rightly[video])) for video in most)
    return Hubs(chart, caption, found.k, rows)


def _stage(measured: Measurement) -> str:
    post = measured.record.post_processing
    return "" if post == "none" else f" before post-processing ({post})"


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


def _histogram(found: Hubness) -> tuple[list[str], list[float]]:
    edges = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 1 << 60]
    last = int(np.searchsorted(edges, found.occurrences.max(), side="right"))
    kept = edges[: last + 1]
    counts, _ = np.histogram(found.occurrences, bins=np.array(kept) - 0.5)
    names = [f"{a}" if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(kept)]
    return names, [float(share) for share in 100 * counts / len(found.occurrences)]
