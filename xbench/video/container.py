"""Opening video files and describing what their headers say; the two ways a file can fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from xbench.errors import DataError
from xbench.video.strangers import unfinished, unlike_a_file, unlike_a_video

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
