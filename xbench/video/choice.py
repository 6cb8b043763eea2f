"""Which decoded frames of one file are asked for, worked out from its header and packets before decoding.

The rules of sampling are pure arithmetic. The published one asks OpenCV for frames by number, and OpenCV does
not count to N: it seeks by time to a key frame at least 16 frames earlier, works out that frame's number from
its time stamp and the average rate, and counts from there. At a constant rate this is the N-th frame; at a
variable rate it is another one. Behaviour of OpenCV's FFmpeg reader (`cap_ffmpeg_impl.hpp`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile
from operator import itemgetter
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from xbench.terms import FrameRule
from xbench.video.packets import Scan, VideoInfo, describe, filled, keep_times, opened, scan, tick

_FIRST_LOOK_BACK = 16
_LAST_LOOK_BACK = (2**31 - 1) // 4


@dataclass(frozen=True)
class _Landing:
    """The first frame that comes out after a seek: its index in decoding order, OpenCV's number for it."""

    index: int
    number: int


class Seeker:
    """Answers `index(N)` for one open video, by seeking in it.

    fps and frames are those of the header (VideoInfo). `exact` turns False when a seek failed or led to a
    frame that the scan does not know, so that plain counting had to stand in.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, scan: Scan, fps: float, frames: int
    ) -> None:
        self.exact = True
        self._container, self._stream, self._fps, self._frames = container, stream, fps, frames
        shown = [(p.pts, p.place, p.key) for p in scan.packets if p.shown and p.pts is not None]
        self._order = sorted(shown, key=itemgetter(0))
        self._timed = len(shown) == scan.frames
        self._by_pts = {pts: index for index, (pts, _, _) in enumerate(self._order)}
        self._by_place = {place: index for index, (_, place, _) in enumerate(self._order)}
        self._landings: dict[int, _Landing | None] = {}

    def counts(self) -> bool:
        """Whether frame number N simply is the N-th frame: at each key frame, its number is its index."""
        if not self._timed or self._frames <= 1:
            return True
        numbers = [self._number(pts) for pts, _, _ in self._order]
        keys = [index for index, (_, _, key) in enumerate(self._order) if key]
        return all(numbers[index] - numbers[0] == index for index in keys)

    def seconds(self) -> float | None:
        """Return when the last frame is shown, from zero or from the first one; None without time stamps."""
        if not self._order:
            return None
        return (self._order[-1][0] - min(self._order[0][0], 0)) * tick(self._stream)

    def index(self, position: int) -> int:
        """Return the index, in decoding order, of the frame that OpenCV returns for frame `position`."""
        position = min(position, self._frames)
        look_back = _FIRST_LOOK_BACK
        first = self._land(0)
        while True:
            begin = max(position - look_back, 0)
            landing = self._land(begin)
            if landing is None or first is None:
                self.exact = False
                return position
            if position <= 1:
                return landing.index + position
            number = landing.number - first.number
            if 0 <= number < position:
                return landing.index + position - number
            if begin == 0 or look_back >= _LAST_LOOK_BACK:
                return landing.index + 1
            look_back = look_back * 3 // 2

    def _land(self, begin: int) -> _Landing | None:
        if begin not in self._landings:
            try:
                self._landings[begin] = self._seek(begin)
            except av.error.FFmpegError:
                self._landings[begin] = None
        return self._landings[begin]

    def _seek(self, begin: int) -> _Landing | None:
        """Seek to the time of frame number `begin` and decode the first frame that comes out."""
        keep_times(self._container)
        offset = int(begin / self._fps / tick(self._stream) + 0.5)
        self._container.seek((self._stream.start_time or 0) + offset, stream=self._stream)
        packets = filled(self._container, self._stream)
        packet = next(packets, None)
        place = None if packet is None else packet.pos
        frames = self._stream.codec_context.decode(packet)
        while packet is not None and not frames:
            packet = next(packets, None)
            frames = self._stream.codec_context.decode(packet)
        return self._landing(frames[0], place) if frames else None

    def _landing(self, frame: VideoFrame, place: int | None) -> _Landing | None:
        index = self._by_place.get(place) if frame.pts is None else self._by_pts.get(frame.pts)
        time = frame.dts if frame.pts is None else frame.pts
        return None if index is None or time is None else _Landing(index, self._number(time))

    def _number(self, time: int) -> int:
        seconds = (time - (self._stream.start_time or 0)) * tick(self._stream)
        return int(self._fps * seconds + 0.5)


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


NO_FRAME = "the published code finds no frame in this file"
MAY_DIFFER = "the published choice of frames may differ in this file"
PIXELS_MAY_DIFFER = "the published pixels may differ in this file"
OLDER_DIFFER = "OpenCV 4.5.5 to 4.7 find other frames in this file than 4.8 to 4.12, which are taken"
LOST_ELSEWHERE = "the file lost frames, but none that is wanted"
UNDER_ONE_FPS = "the published code divides by zero on this file: it has under one frame a second"

_ROUGH_CONTAINERS = ("mpeg", "mpegts")
"""Program and transport streams have no index: where OpenCV lands in them is not predictable."""


@dataclass(frozen=True)
class Choice:
    """What is wanted of one file. Frames are numbered in decoding order, from 0.

    targets: the frames that the published rule asks for, in order; empty for `uniform`. frames: how many the
    packets hold. promised: how many the file should hold. wanted: how many of those the rule finds, before
    the cut to max_frames. scan: the packets, and the evidence that the file lost some. notes: how the
    published code fares on it.
    """

    info: VideoInfo
    sampling: Sampling
    window: Window | None
    targets: tuple[int, ...]
    frames: int
    promised: int
    wanted: int
    scan: Scan
    notes: tuple[str, ...]

    def found(self, frames: int) -> list[int]:
        """Return the frames that the rule finds when `frames` decode, before the cut to max_frames."""
        if self.sampling.rule == "published":
            return list(takewhile(lambda target: target < frames, self.targets))
        total = self.promised if self.scan.loss else frames
        picks = uniform_positions(total, self.info.fps, self.window, self.sampling.max_frames)
        return [pick for pick in picks if pick < frames]

    def taken(self, frames: int) -> list[int]:
        """Return the frames that are taken when `frames` of them decode."""
        found = self.found(frames)
        return [found[index] for index in cut(len(found), self.sampling.max_frames)]


def choose(path: Path, window: Window | None, sampling: Sampling) -> Choice:
    """Read the header and the packets of a file and work out which frames are wanted.

    Raises UnreadableVideo when it is no video.
    """
    with opened(path) as (container, stream):
        info = describe(container, stream)
        packets = scan(path, container, stream, info)
        held = packets.frames
        promised = _promised(info, packets)
        if sampling.rule == "uniform":
            wanted = len(uniform_positions(promised, info.fps, window, sampling.max_frames))
            return Choice(info, sampling, window, (), held, promised, wanted, packets, ())
        count = held if info.frames is None else info.frames
        rough = info.container in _ROUGH_CONTAINERS
        seeker = Seeker(container, stream, packets, info.fps, count)
        targets = _targets(seeker, published_positions(count, info.fps, window), held, plain=rough)
        reorders = (info.container, info.codec) == ("avi", "mpeg4") and stream.codec_context.has_b_frames
        notes = _notes(info, exact=seeker.exact and not rough and not reorders)
        notes += (OLDER_DIFFER,) if _older_differ(packets, info, seeker) else ()
    wanted = published_count(promised if packets.loss else count, info.fps, window)
    return Choice(info, sampling, window, targets, held, promised, wanted, packets, notes)


def _promised(info: VideoInfo, packets: Scan) -> int:
    """Return how many frames the file should hold: more than it does if it is known to have lost some.

    Where the header does not tell, as in an MP4 of fragments, a file that lost its end lost a second at
    least.
    """
    held, loss = packets.frames, packets.loss
    if loss is None:
        return held
    told = info.frames or 0
    silent = info.frames is None or (packets.fragments and told <= held)
    return held + math.ceil(info.fps) if silent and loss.first >= held else max(held, told)


def _targets(seeker: Seeker, positions: Iterator[int], frames: int, *, plain: bool) -> tuple[int, ...]:
    """Return the frame of each position until the first that the file does not hold."""
    indices = positions if plain or seeker.counts() else map(seeker.index, positions)
    return tuple(takewhile(lambda index: index < frames, indices))


def _older_differ(packets: Scan, info: VideoInfo, seeker: Seeker) -> bool:
    """Seen with sound much longer than the picture, and at variable rate in an MP4 with a segment index."""
    seconds = seeker.seconds()
    longer = (
        info.frames is not None and seconds is not None and info.frames - seconds * info.fps > 2 * info.fps
    )
    return packets.loss is None and (longer or (packets.indexed and not seeker.counts()))


def _notes(info: VideoInfo, *, exact: bool) -> tuple[str, ...]:
    if info.fps < 1:
        return (UNDER_ONE_FPS,)
    if info.frames is None or info.codec == "av1":
        return (NO_FRAME,)
    return () if exact else (MAY_DIFFER,)
