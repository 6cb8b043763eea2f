"""Every query of a page as data for its script: columns of numbers, shown, searched and sorted there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.counts import Ints
from xbench.reports.page.findings import Material, Outcomes, videos_of
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS
from xbench.shown import visible
from xbench.terms import Direction

_DIGITS = 5
_VALUES = 400_000
"""Items of what was retrieved that a page holds: some twelve bytes each."""
_CAPTION_BYTES = 7_000_000
_ROW_BYTES = 30


def list_queries(
    measured: Measurement,
    material: Material,
    names: Sequence[str],
    runs: Mapping[Direction, Sequence[Outcomes]],
    shown: Mapping[Direction, Sequence[int]],
) -> tuple[dict[str, Any], list[str]]:
    """Return what the script reads, as JSON has it, and what was left out for the size of the page.

    measured: whose order the queries have. names: of the runs, whose outcomes stand in `runs`. shown: the
    queries that the page shows with pictures.
    """
    kept, remarks = _kept(runs["t2v"], material.captions)
    values = sum(each.first.items.size for side in runs.values() for each in side if each.first is not None)
    whole = values <= _VALUES
    if not whole:
        remarks.append("What each query retrieved is left out of the list of all, which is long.")
    data = {
        "runs": list(names),
        "captions": material.captions and _texts(material.captions, kept),
        "videos": material.video_ids and list(map(visible, material.video_ids)),
        "owners": measured.counts.caption_to_video.tolist(),
        "sides": {
            side: {
                "queries": videos_of(measured, side).tolist() if side == "v2t" else kept.tolist(),
                "shown": list(map(int, shown[side])),
                "runs": [_columns(each, None if side == "v2t" else kept, whole=whole) for each in runs[side]],
            }
            for side in DIRECTIONS
        },
    }
    return data, remarks


def _kept(runs: Sequence[Outcomes], captions: Sequence[str] | None) -> tuple[Ints, list[str]]:
    """The captions that the page holds, in order: as many as fit, the highest rank in any run first."""
    total = len(runs[0].ranks)
    sizes = np.full(total, _ROW_BYTES)
    if captions is not None:
        sizes += [len(caption.encode()) for caption in captions]
    highest = np.max([np.nan_to_num(each.ranks, nan=np.inf) for each in runs], axis=0)
    order = np.argsort(-highest, kind="stable")
    kept = np.sort(order[np.cumsum(sizes[order]) <= _CAPTION_BYTES])
    if len(kept) == total:
        return kept, []
    many = f"{len(kept):,} captions of {total:,}"
    return kept, [f"The list holds the {many} with the highest ranks; `xbench queries` has all."]


def _texts(captions: Sequence[str], kept: Ints) -> list[str | None]:
    """Captions as one line each, none for those that the page does not hold."""
    texts: list[str | None] = [None] * len(captions)
    for index in kept.tolist():
        texts[index] = visible(" ".join(captions[index].split()))
    return texts


def _columns(run: Outcomes, kept: Ints | None, *, whole: bool) -> dict[str, Any]:
    chosen = slice(None) if kept is None else kept
    first = run.first if whole else None
    return {
        "ranks": _numbers(run.ranks[chosen]),
        "tied": run.tied[chosen].tolist(),
        "scores": _numbers(run.scores[chosen]),
        "items": None if first is None else first.items[chosen].tolist(),
        "values": None if first is None else [_numbers(row) for row in first.scores[chosen]],
    }


def _numbers(values: NDArray[np.floating]) -> list[float | int | None]:
    """As short as they may be; none for what is not finite."""
    found: list[float | int | None] = []
    for value in values.tolist():
        short = float(f"{value:.{_DIGITS}g}")
        found.append(None if not np.isfinite(value) else int(short) if short.is_integer() else short)
    return found
