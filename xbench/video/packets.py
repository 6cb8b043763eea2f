"""Opening video files and describing what their headers say; the two ways a file can fail."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from xbench.errors import DataError
from xbench.video.evidence import (
    ends_within_a_transport_packet,
    has_zero_run,
    promised_size,
    read_boxes,
)
from xbench.video.identity import unfinished, unlike_a_file, unlike_a_video

_MICROSECONDS = 1_000_000
_PLAY_LISTS = ("concat", "hls", "dash")
_GENERATE_PTS = 1  # AVFMT_FLAG_GENPTS
_NEAR_ZERO = 0.000025  # OpenCV's limit below which a rate or duration counts as absent


class UnreadableVideo(DataError):  # noqa: N818
    """A file from which not one wanted frame can be had. `path` and `cause` say which and why."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} cannot be read as a video: {cause}. Replace the file, or leave it out.")
        self.path, self.cause = path, cause


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says, as the published extractor (OpenCV) reads it.

    width, height: stored pixels, before a rotation. fps: the container's average rate. frames: the header's
    frame count, else round(duration * fps); it can differ from what decodes, and is None when the header
    tells neither. duration: seconds, None when the header does not tell. codec, container and pixel_format
    are FFmpeg's names.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    duration: float | None
    codec: str
    container: str
    pixel_format: str | None


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and its first video stream, decoding in the calling thread.

    Raises UnreadableVideo for what is not there, not a file, not readable or not a video.
    """
    container = _open(path)
    try:
        if container.format.name in _PLAY_LISTS:
            raise UnreadableVideo(path, "it is a play list, not a video")
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise UnreadableVideo(path, "it has no video stream")
        if streams[0].codec_context is None:
            raise UnreadableVideo(path, "FFmpeg has no decoder for its codec")
        streams[0].codec_context.thread_count = 1
        yield container, streams[0]
    finally:
        container.close()


def tick(stream: VideoStream) -> float:
    """Return the seconds of one unit of the stream's time stamps."""
    assert stream.time_base is not None
    return float(stream.time_base)


def keep_times(container: InputContainer) -> None:
    """Leave out the time stamps that the file leaves out.

    PyAV has FFmpeg make them up, by a guess at the order of frames; OpenCV and FFmpeg's command line go by
    the decoding time there.
    """
    container.flags &= ~_GENERATE_PTS


def describe(container: InputContainer, stream: VideoStream) -> VideoInfo:
    """Return what the header says, without decoding a frame."""
    fps = _fps(stream)
    duration = _duration(container, stream)
    frames = stream.frames or (None if duration is None or duration < 0 else int(duration * fps + 0.5))
    return VideoInfo(
        width=stream.width,
        height=stream.height,
        fps=fps,
        frames=frames,
        duration=duration,
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        pixel_format=stream.codec_context.pix_fmt,
    )


def probe(path: Path) -> VideoInfo:
    """Read a video's header only. Raises UnreadableVideo with the cause."""
    with opened(path) as (container, stream):
        return describe(container, stream)


def _open(path: Path) -> InputContainer:
    if what := unlike_a_file(path) or unfinished(path):
        raise UnreadableVideo(path, what)
    try:
        # An absolute path is never taken for an address, and a play list may not reach the network.
        options = {"protocol_whitelist": "file"}
        container: InputContainer = av.open(str(path.absolute()), metadata_errors="replace", options=options)
        return container
    except av.error.InvalidDataError as error:
        raise UnreadableVideo(path, unlike_a_video(path) or error.strerror or str(error)) from error
    except (OSError, av.error.FFmpegError) as error:
        raise UnreadableVideo(path, error.strerror or str(error)) from error


def _fps(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and float(rate) >= _NEAR_ZERO:
            return float(rate)
    return 1 / tick(stream)


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if container.duration is not None and container.duration / _MICROSECONDS >= _NEAR_ZERO:
        return container.duration / _MICROSECONDS
    return None if stream.duration is None else stream.duration * tick(stream)


_LONG = 1.5
"""A pause is longer than usual from so many times the median step between frames on."""
_SECOND = 1.0
"""Headers round, and count frames that an encoder dropped; by a second they are not wrong."""
_WITHOUT_SIZE = ("matroska,webm", "flv")
"""Containers that may state a duration and not their size."""
_JOINED_ANYWHERE = ("mpeg", "mpegts")
"""Streams that a receiver joins in their middle, so that they need not begin with a key frame."""


@dataclass(frozen=True, slots=True)
class PacketTime:
    """A packet. pts: when it is shown, in the stream's time base. shown: False where an edit list hides it.

    place and end: where its data lies in the file, in bytes, None where the container does not tell.
    """

    pts: int | None
    place: int | None
    end: int | None
    key: bool
    shown: bool


@dataclass(frozen=True)
class Loss:
    """That a file lost frames: why it is known, and the first frame, in order of time, after the loss."""

    cause: str
    first: int


@dataclass(frozen=True)
class Scan:
    """All packets of the video stream, and the evidence, if any, that the file lost some (`loss`).

    pauses: the frames, in order of time, before which an unusual pause lies; alone they prove nothing.
    headless: the file does not begin with a key frame; alone that proves nothing either. fragments and
    indexed: it is an MP4 of fragments, and has a segment index.
    """

    packets: tuple[PacketTime, ...]
    loss: Loss | None
    pauses: tuple[int, ...] = ()
    headless: bool = False
    fragments: bool = False
    indexed: bool = False

    @property
    def frames(self) -> int:
        """How many frames the packets should decode to."""
        return sum(packet.shown for packet in self.packets)

    def times(self) -> list[int] | None:
        """Return the times of the shown packets in order, None when one has none or two have the same."""
        times = [packet.pts for packet in self.packets if packet.shown and packet.pts is not None]
        return sorted(times) if len(set(times)) == len(times) == self.frames else None


def scan(path: Path, container: InputContainer, stream: VideoStream, info: VideoInfo) -> Scan:
    """Read every packet of `stream` from the start of the file; nothing is decoded."""
    packets: list[PacketTime] = []
    fault, corrupt = None, False
    try:
        for packet in filled(container, stream):
            if packet.has_sidedata("encryption_info"):
                raise UnreadableVideo(path, "it is encrypted: its key is needed to see the pictures")
            corrupt = packet.is_corrupt
            end = None if packet.pos is None else packet.pos + packet.size
            shown = not packet.is_discard
            packets.append(PacketTime(packet.pts, packet.pos, end, packet.is_keyframe, shown))
    except av.error.FFmpegError as error:
        fault = error.strerror or str(error)
    if corrupt:
        packets.pop()
        fault = "it ends in the middle of a frame"
    keys = [packet.key for packet in packets]
    headless = any(keys) and not keys[0] and info.container not in _JOINED_ANYWHERE
    found = Scan(tuple(packets), None, _pauses(packets), headless)
    if fault is None and container.format.name.startswith("mov"):
        return _with_boxes(path, found, len(stream.index_entries))
    fault = fault or _cut_short(path, info)
    loss = Loss(fault, found.frames) if fault else _hole(path, found) or _empty_tail(path, found, info)
    return Scan(found.packets, loss, found.pauses, headless)


def filled(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of `stream` that hold data (PyAV ends with an empty one)."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except IndexError:
        # PyAV 18 trips at the end of a file in which a further stream turned up; all packets came by then.
        return


def _pauses(packets: list[PacketTime]) -> tuple[int, ...]:
    times = sorted(packet.pts for packet in packets if packet.shown and packet.pts is not None)
    steps = [later - earlier for earlier, later in pairwise(times)]
    usual = statistics.median(steps) if steps else 0
    return tuple(index + 1 for index, step in enumerate(steps) if usual > 0 and step > _LONG * usual)


def _with_boxes(path: Path, found: Scan, listed: int) -> Scan:
    """What the boxes of an MP4 tell; that fragments are not whole counts only beside a pause or an end."""
    boxes, size = read_boxes(path), path.stat().st_size
    loss = None
    if listed > len(found.packets):
        loss = Loss(f"it is cut short: {len(found.packets)} of {listed} frames", found.frames)
    elif boxes.broken:
        loss = Loss(boxes.broken, found.pauses[0] if found.pauses else found.frames)
    elif boxes.promised is not None:
        loss = Loss(f"it is cut short: {size} of {boxes.promised} bytes", found.frames)
    return Scan(found.packets, loss, found.pauses, found.headless, boxes.fragments, boxes.indexed)


def _cut_short(path: Path, info: VideoInfo) -> str | None:
    promised, size = promised_size(path), path.stat().st_size
    if promised is not None and promised > size:
        return f"it is cut short: {size} of {promised} bytes"
    if info.container == "mpegts" and ends_within_a_transport_packet(path):
        return "it is cut short: it ends within a transport packet"
    return None


@dataclass(frozen=True)
class _Layout:
    """Where all packets of a file lie, of sound too, and when the last one ends, by its own clock."""

    spans: tuple[tuple[int, int], ...]
    seconds: float

    def between(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of [start, end) in which no packet lies."""
        for low, high in self.spans:
            if high > start and low < end:
                if low > start:
                    yield start, low
                start = max(start, high)
        if start < end:
            yield start, end


def _layout(path: Path) -> _Layout:
    spans, seconds = [], 0.0
    with opened(path) as (container, _):
        try:
            for packet in container.demux():
                time = packet.pts if packet.pts is not None else packet.dts
                if packet.size and time is not None and packet.time_base:
                    seconds = max(seconds, float((time + (packet.duration or 0)) * packet.time_base))
                if packet.size and packet.pos is not None:
                    spans.append((packet.pos, packet.pos + packet.size))
        except (av.error.FFmpegError, IndexError):
            pass
    return _Layout(tuple(sorted(spans)), seconds)


def _hole(path: Path, found: Scan) -> Loss | None:
    """Zeros in the file, in no packet, where there is a pause in time: bytes that never arrived."""
    order = [packet for packet in found.packets if packet.shown and packet.pts is not None]
    order.sort(key=attrgetter("pts"))
    for index in found.pauses:
        start, end = order[index - 1].end, order[index].place
        if start is not None and end is not None and has_zero_run(path, start, end):
            holes = _layout(path).between(start, end)
            if any(has_zero_run(path, *hole) for hole in holes):
                return Loss(f"zeros stand where frames were, behind byte {start}", index)
    return None


def _empty_tail(path: Path, found: Scan, info: VideoInfo) -> Loss | None:
    """The header tells of seconds that no stream reaches, and zeros or nothing stand in their place."""
    rate = info.fps or 1
    told = max(info.duration or 0, (info.frames or 0) / rate)
    if told - found.frames / rate < _SECOND:
        return None
    layout, size = _layout(path), path.stat().st_size
    if told - layout.seconds < _SECOND:
        return None
    start = max((end for _, end in layout.spans), default=0)
    if has_zero_run(path, start, size):
        return Loss(f"zeros stand where frames were, behind byte {start}", found.frames)
    if info.container in _WITHOUT_SIZE and promised_size(path) is None:
        came = f"{layout.seconds:.1f} of {told:.1f} seconds"
        return Loss(f"it is cut short: {came}", found.frames)
    return None
