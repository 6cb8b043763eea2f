"""The rules of sampling: pure arithmetic on the frames of a clip, by number or by time."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from xbench.sampling import Windows

Window = tuple[float, float]
"""Start and end in seconds."""
_NEAR = 1e-6
"""Steps between wanted moments within which a frame that begins there counts as begun."""


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


def cut(count: int, max_frames: int | None) -> list[int]:
    """Return which of `count` items remain: all, or `max_frames` of them evenly (8 to 6: 0 1 2 4 5 7)."""
    if max_frames is None or count <= max_frames:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, max_frames)]


def uniform_positions(frames: int, fps: float, window: Window | None, max_frames: int) -> list[int]:
    """Return the middle frame of each of `max_frames` equal parts; every frame of a shorter clip.

    frames: how many frames the clip has. fps and window: as for `published_positions`; a frame belongs to the
    window when it begins inside it.
    """
    first, stop = _span(frames, fps, window)
    edges = _edges(first, stop, max_frames)
    return [(left + right - 1) // 2 for left, right in pairwise(edges)]


def timed_positions(
    frames: int, fps: float, window: Window | None, per_second: float, shown: Sequence[float]
) -> list[int]:
    """Return the frames that are shown at each 1/per_second second of a clip, each once.

    shown: when each frame begins, seconds from the first one, for as many frames as that is known of; the
    others follow at the rate. The last frame ends a frame of the rate after it began. The first moment is the
    window's start, its end belongs to it no more.
    """
    begins = [*shown[:frames]]
    begins += [
        (begins[-1] + (index + 1) / fps) if begins else index / fps for index in range(frames - len(begins))
    ]
    if not begins:
        return []
    start, end = (0.0, math.inf) if window is None else (max(window[0], 0.0), window[1])
    ends = [*begins[1:], begins[-1] + 1 / fps]
    found = []
    for index, (begin, stop) in enumerate(zip(begins, ends, strict=True)):
        moment = start + max(math.ceil((begin - start) * per_second - _NEAR), 0) / per_second
        if moment < min(stop, end) - _NEAR / per_second:
            found.append(index)
    return found


def strided_positions(frames: int, fps: float, window: Window | None, seconds: float) -> list[int]:
    """Return every n-th frame of a clip from its first one on, where n is round(seconds x fps), 1 at least.

    Halves go to the even neighbour. frames, fps and window: as for `uniform_positions`.
    """
    return list(range(*_span(frames, fps, window), max(round(seconds * fps), 1)))


def segment_positions(
    frames: int, fps: float, window: Window | None, parts: int, each: int
) -> list[list[int]]:
    """Return, of each of `parts` equal parts, the `each` neighbouring frames in its middle.

    A part that has fewer gives all of them, a clip of fewer frames than parts one part for each frame. Where
    the middle lies between two frames, the earlier one is taken. The others: as for `uniform_positions`.
    """
    edges = _edges(*_span(frames, fps, window), parts)
    found = []
    for left, right in pairwise(edges):
        begin = left + max(right - left - each, 0) // 2
        found.append(list(range(begin, min(begin + each, right))))
    return found


def windows_of(windows: Windows, start: float, end: float) -> list[Window]:
    """Return the windows of a clip from second `start` to second `end`, in order; none of an empty one."""
    if end <= start:
        return []
    if windows.seconds is None:
        assert windows.count is not None
        edges = [start + (end - start) * index / windows.count for index in range(windows.count + 1)]
        return list(pairwise(edges))
    step = windows.step or windows.seconds
    count = 1 + max(math.ceil((end - start - windows.seconds) / step - _NEAR), 0)
    begins = [start + index * step for index in range(count)]
    return [(begin, min(begin + windows.seconds, end)) for begin in begins if begin < end]


def repeated(positions: list[int], count: int) -> list[int]:
    """Return positions, the last one again until there are `count`; none stay none."""
    return positions + positions[-1:] * (count - len(positions))


def _span(frames: int, fps: float, window: Window | None) -> tuple[int, int]:
    """Return the first frame of a clip and the one behind its last."""
    if window is None:
        return 0, max(frames, 0)
    first, stop = max(math.ceil(window[0] * fps), 0), math.ceil(min(window[1] * fps, frames))
    return first, max(first, stop)


def _edges(first: int, stop: int, parts: int) -> list[int]:
    """Return where equal parts of the frames [first, stop) begin and end; one for each frame at most."""
    edges = np.linspace(first, stop, min(parts, stop - first) + 1)
    return [int(edge) for edge in edges]
