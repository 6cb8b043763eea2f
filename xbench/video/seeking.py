"""Which frame the published extractor gets when it asks OpenCV for frame number N.

OpenCV does not count to N. It seeks by time to a key frame at least 16 frames earlier, works out that frame's
number from its time stamp and the average rate, and counts from there. At a constant rate this is the N-th
frame; at a variable rate it is another one. Behaviour of OpenCV's FFmpeg reader (`cap_ffmpeg_impl.hpp`).
"""

from dataclasses import dataclass, field

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from xbench.video.container import tick
from xbench.video.packets import PacketTime, Scan, filled

_FIRST_LOOK_BACK = 16
_LAST_LOOK_BACK = (2**31 - 1) // 4


@dataclass
class Seeker:
    """Answers `index(N)` for one open video, by seeking in it; decodes nothing.

    fps and frames are those of the header (VideoInfo). `exact` turns False when a seek failed or led to a
    packet that the scan does not know, so that plain counting had to stand in.
    """

    container: InputContainer
    stream: VideoStream
    scan: Scan
    fps: float
    frames: int
    exact: bool = True
    _landings: dict[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shown = [at for at, packet in enumerate(self.scan.packets) if packet.shown and packet.pts is not None]
        shown.sort(key=self._pts)
        self._rank = {at: rank for rank, at in enumerate(shown)}
        self._where = {(p.pts, p.dts): at for at, p in enumerate(self.scan.packets)}
        self._timed = len(shown) == self.scan.frames and len(self._where) == len(self.scan.packets)
        self._first_number = self._number(self._pts(shown[0])) if shown else 0

    def counts(self) -> bool:
        """Whether frame number N simply is the N-th frame: at each key frame, its number is its index."""
        if not self._timed or self.frames <= 1:
            return True
        keys = (at for at in self._rank if self.scan.packets[at].key)
        return all(self._number_of(at) == self._rank[at] for at in keys)

    def index(self, position: int) -> int:
        """Return the index, in decoding order, of the frame that OpenCV returns for frame `position`."""
        position = min(position, self.frames)
        look_back = _FIRST_LOOK_BACK
        while True:
            begin = max(position - look_back, 0)
            landing = self._first_after(begin)
            if landing is None:
                self.exact = False
                return position
            if position <= 1:
                return self._rank[landing] + position
            number = self._number_of(landing)
            if 0 <= number < position:
                return self._rank[landing] + position - number
            if begin == 0 or look_back >= _LAST_LOOK_BACK:
                return self._rank[landing] + 1
            look_back = look_back * 2 if look_back < _FIRST_LOOK_BACK else look_back * 3 // 2

    def _first_after(self, begin: int) -> int | None:
        """Return the packet of the first frame that comes out after seeking to frame number `begin`."""
        if begin not in self._landings:
            self._landings[begin] = self._seek(begin)
        return self._landings[begin]

    def _seek(self, begin: int) -> int | None:
        offset = int(begin / self.fps / tick(self.stream) + 0.5)
        try:
            self.container.seek((self.stream.start_time or 0) + offset, stream=self.stream)
            landed = next(filled(self.container, self.stream), None)
        except av.error.FFmpegError:
            return None
        at = None if landed is None else self._where.get((landed.pts, landed.dts))
        if at is None:
            return None
        later = [i for i in self._rank if i >= at and self._pts(i) >= self._pts(at)]
        return min(later, key=self._pts, default=None)

    def _number_of(self, at: int) -> int:
        return self._number(self._pts(at)) - self._first_number

    def _number(self, pts: int) -> int:
        seconds = (pts - (self.stream.start_time or 0)) * tick(self.stream)
        return int(self.fps * seconds + 0.5)

    def _pts(self, at: int) -> int:
        return _required(self.scan.packets[at])


def _required(packet: PacketTime) -> int:
    assert packet.pts is not None
    return packet.pts
