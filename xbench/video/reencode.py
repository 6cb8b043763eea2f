"""One small copy of a video: few frames a second, a short smaller side, upright, H.264, no sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from xbench.video.decode import Decoded, frames_of
from xbench.video.packets import UnreadableVideo, describe, keep_times, opened, scan
from xbench.video.pixels import QUARTER_TURNS

_PIXELS = "yuv420p"
_LONGEST_STILL = 3600
"""Seconds: a frame that is shown for longer has a wrong time stamp, and would fill the disk with copies."""

_SLACK = 1.1
_STEP = 1 << 16
_NUDGE = 1 / (1 << 17)
"""FFmpeg computes times in steps of 1 / 2^16 output frame and nudges them off exact midpoints."""


@dataclass(frozen=True)
class Recipe:
    """How a copy is made. side: pixels of the smaller side, even. rate: frames a second.

    squeeze_portrait: what CLIP4Clip's script does to a video that is higher than wide: 240 x 320 becomes
    224 x 168, its shape lost. Otherwise it becomes 224 x 298.
    """

    side: int = 224
    rate: int = 3
    squeeze_portrait: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the copy of an upright picture; the longer side is even."""
        if width > height:
            return int(self.side * (width / height) / 2) * 2, self.side
        ratio = width / height if self.squeeze_portrait else height / width
        return self.side, max(int(self.side * ratio / 2) * 2, 2)


def reencode(
    source: Path, target: Path, recipe: Recipe, comment: str, goes_on: Callable[[], bool] = lambda: True
) -> None:
    """Write the copy of `source` as an mp4 that carries `comment`.

    Raises UnreadableVideo for a file that is damaged anywhere, because its copy would look sound, and
    InterruptedError once `goes_on` says no; what was written by then is no finished file.
    """
    with av.open(str(target), "w", format="mp4") as output:
        output.metadata["comment"] = comment
        stream: VideoStream | None = None
        for number, frame in enumerate(_small_frames(source, recipe)):
            if not goes_on():
                raise InterruptedError(f"stopped in {source}")
            if stream is None:
                stream = output.add_stream("libx264", rate=recipe.rate)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, _PIXELS
                stream.codec_context.thread_count = 1
                # Without these two, a reader takes BT.709 for BT.601 and full range for limited.
                stream.codec_context.colorspace = frame.colorspace
                stream.codec_context.color_range = frame.color_range
            frame.pts, frame.time_base = number, Fraction(1, recipe.rate)
            # The original's type (key frame or not) would be forced on the copy.
            frame.pict_type = PictureType.NONE
            output.mux(stream.encode(frame))
        if stream is not None:
            output.mux(stream.encode(None))


def _small_frames(source: Path, recipe: Recipe) -> Iterator[VideoFrame]:
    """Yield the frames of the copy, in its size and upright. Raises UnreadableVideo for what is damaged."""
    with opened(source) as (container, stream):
        info = describe(container, stream)
        packets = scan(source, container, stream, info)
        if packets.loss:
            raise UnreadableVideo(source, packets.loss.cause)
    pacer, decoded, shrink = Pacer(recipe.rate), Decoded(), _Shrinker(recipe)
    last: VideoFrame | None = None
    with opened(source) as (container, stream):
        keep_times(container)
        for frame, time, duration in _timed(container, stream, decoded):
            held, fresh = pacer.copies(time, duration)
            if held + fresh > _LONGEST_STILL * recipe.rate:
                raise UnreadableVideo(source, f"its time stamps jump by {float(duration):.0f} seconds")
            if last is not None:
                yield from (shrink(last) for _ in range(held))
            yield from (shrink(frame) for _ in range(fresh))
            last = frame
    loss = decoded.loss(packets, info)
    if loss or last is None:
        raise UnreadableVideo(source, loss.cause if loss else "it holds no frame that decodes")
    yield from (shrink(last) for _ in range(pacer.at_end()))


def _timed(
    container: InputContainer, stream: VideoStream, decoded: Decoded
) -> Iterator[tuple[VideoFrame, Fraction, Fraction]]:
    """Yield each frame with its time since the start of the file and its duration, both in seconds."""
    tick = stream.time_base or Fraction(1)
    usual = 1 / (stream.guessed_rate or Fraction(25))
    start = Fraction(container.start_time or 0, av.time_base)
    time = -usual
    for frame in frames_of(container, stream, decoded):
        decoded.count += 1
        stamp = frame.dts if frame.pts is None else frame.pts
        time = time + usual if stamp is None else max(stamp * tick - start, time + tick)
        yield frame, time, frame.duration * tick if frame.duration else usual


class _Shrinker:
    """Scales frames to the size of the copy, which the first one sets, and turns them upright."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._reformatter = VideoReformatter()
        self._turns = 0
        self._size: tuple[int, int] | None = None
        self._turner = Graph()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        if self._size is None:
            self._turns = QUARTER_TURNS.get(frame.rotation, 0)
            self._size = self._turned(*self._recipe.size(*self._turned(frame.width, frame.height)))
        small = self._reformatter.reformat(
            frame, *self._size, _PIXELS, interpolation=Interpolation.BICUBIC, threads=1
        )
        return self._turn(small) if self._turns else small

    def _turned(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self._turns % 2 else (width, height)

    def _turn(self, frame: VideoFrame) -> VideoFrame:
        if not self._turner.configured:
            source = self._turner.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            steps = [self._turner.add("transpose", "cclock") for _ in range(self._turns)]
            self._turner.link_nodes(source, *steps, self._turner.add("buffersink")).configure()
        self._turner.vpush(frame)
        return self._turner.vpull()


class Pacer:
    """Says for each frame of a video how often it is written at a constant rate, as `ffmpeg -r RATE` does.

    FFmpeg's command line does not take the frame nearest to each output time. It writes a frame whenever the
    output is less than 1.1 frames ahead of the input, so a 30 fps video brought to 3 fps keeps frames 0, 1,
    8, 18, 28, ... The copies that the published models were trained and tested on were made so.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._written = 0
        self._held_before = [0, 0, 0]

    def copies(self, time: Fraction, duration: Fraction) -> tuple[int, int]:
        """Return how often to write the previous frame once more, and then how often this one.

        time: seconds since the start of the file. duration: seconds until the next frame.
        """
        due = round(time * self._rate * _STEP) / _STEP
        ahead = due + (_NUDGE if due > 0 else -_NUDGE if due < 0 else 0) - self._written
        end = ahead + float(duration * self._rate)
        held, total = 0, 1
        if ahead < 0 < end:
            ahead = 0.0
        if end < -_SLACK:
            total = 0
        elif end > _SLACK:
            total = round(end)
            held = round(ahead - 0.6) if ahead > _SLACK else 0
        self._held_before = [held, *self._held_before[:2]]
        self._written += total
        return held, total - held

    def at_end(self) -> int:
        """Return how often the last frame is written once more when the video ends."""
        return sorted(self._held_before)[1]
