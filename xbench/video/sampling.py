"""Which frames of a video are taken: pure arithmetic on counts, rates and seconds.

`published` is the rule of the CLIP4Clip / X-CLIP extractor (`dataloaders/rawvideo_util.py` and
`dataloader_*_retrieval.py` of the published code): one frame for every whole second, cut evenly to
`max_frames`. `uniform` takes the middle frame of `max_frames` equal parts, as InternVideo and UMT do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbench.terms import FrameRule

Window = tuple[float, float]


@dataclass(frozen=True)
class Sampling:
    """At most `max_frames` frames of a clip, picked by `rule`."""

    max_frames: int
    rule: FrameRule = "published"


def published_positions(frames: int, fps: float, window: Window | None) -> Iterator[int]:
    """Yield the positions, as frame numbers, that the published extractor asks for.

    frames: the header's frame count. fps: the container's average rate. window: seconds; a start between two
    seconds counts from the earlier one, an end until the later one.

    The clip lasts ceil(frames / int(fps)) seconds by that rule, and the end second is asked for too, so the
    last position may lie past the end of the clip, where the extractor finds nothing and stops. A negative
    `frames` gives no position. Under one frame a second, where the published code divides by zero, the frame
    shown at each second is asked for, once.
    """
    if frames < 0:
        return
    rate = _rate(fps)
    previous = -1
    for second in _seconds(frames, fps, window):
        position = min(int(second * rate), frames)
        if position != previous:
            yield position
        previous = position


def published_count(frames: int, fps: float, window: Window | None) -> int:
    """Return how many of the published positions lie inside the clip: what an intact file gives."""
    rate, seconds = _rate(fps), _seconds(frames, fps, window)
    last = min(seconds.stop - 1, math.ceil(frames / rate) - 1)
    if last < seconds.start:
        return 0
    if rate < 1:
        return int(last * rate) - int(seconds.start * rate) + 1
    return last - seconds.start + 1


def _seconds(frames: int, fps: float, window: Window | None) -> range:
    length = math.ceil(frames / _rate(fps))
    if window is None:
        return range(length + 1)
    return range(max(int(window[0]), 0), math.ceil(min(window[1], length)) + 1)


def _rate(fps: float) -> float:
    return int(fps) if fps >= 1 else fps


def cut(count: int, max_frames: int) -> list[int]:
    """Return which of `count` items remain: all, or `max_frames` of them evenly (8 to 6: 0 1 2 4 5 7)."""
    if count <= max_frames:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, max_frames)]


def uniform_positions(frames: int, fps: float, window: Window | None, max_frames: int) -> list[int]:
    """Return the middle frame of each of `max_frames` equal parts; every frame of a shorter clip.

    frames: how many frames the clip has. fps and window: as for `published_positions`; a frame belongs to the
    window when it begins inside it.
    """
    first, stop = 0, frames
    if window is not None:
        first, stop = max(math.ceil(window[0] * fps), 0), math.ceil(min(window[1] * fps, frames))
    parts = min(max_frames, max(stop - first, 0))
    edges = np.linspace(first, max(stop, first), parts + 1).astype(int)
    return [int((left + right - 1) // 2) for left, right in pairwise(edges)]
