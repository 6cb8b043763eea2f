"""Which frame OpenCV returns for a number: it does not count to it.

It seeks by time to a key frame at least 16 frames earlier, works out that frame's number from its time stamp
and the average rate, and counts from there. At a constant rate this is the N-th frame; at a variable rate it
is another one. Behaviour of OpenCV's FFmpeg reader (`cap_ffmpeg_impl.hpp`).
"""

from dataclasses import dataclass
from operator import itemgetter

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from xbench.video.packets import Scan, filled, keep_times, tick

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
