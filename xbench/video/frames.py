"""Decoding one video from its start and converting the wanted frames, and no others, to RGB."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from xbench.video.container import opened
from xbench.video.packets import filled
from xbench.video.pixels import Converter, PixelRule, Pixels


@dataclass
class Decoded:
    """What one pass over a video gave.

    pictures: index of a frame in decoding order -> what became of its RGB pixels. count: how many frames came
    out before the pass ended; `ended` is False when it stopped at the last wanted frame. fault: why decoding
    failed after `count` frames, None when it did not. skipped: packets before the first frame that failed.
    differs and exact: what the Converter says of the pictures.
    """

    pictures: dict[int, Pixels] = field(default_factory=dict)
    count: int = 0
    ended: bool = True
    fault: str | None = None
    skipped: int = 0
    differs: bool = False
    exact: bool = True


def decode(
    path: Path, wanted: Collection[int], rule: PixelRule, transform: Callable[[Pixels], Pixels]
) -> Decoded:
    """Decode `path` from the start until the last of `wanted`; transform gets uint8 RGB [H, W, 3], upright.

    What fails before the first key frame is passed over, as any player does; what fails later ends the pass.
    Raises UnreadableVideo when the file cannot be opened.
    """
    result = Decoded()
    last = max(wanted, default=-1)
    with opened(path) as (container, stream):
        to_rgb = Converter(stream, rule)
        for frame in frames_of(container, stream, result):
            if result.count in wanted:
                result.pictures[result.count] = transform(to_rgb(frame))
            result.count += 1
            if result.count > last:
                result.ended = False
                break
        result.differs, result.exact = to_rgb.differs, to_rgb.exact
    return result


def frames_of(container: InputContainer, stream: VideoStream, result: Decoded) -> Iterator[VideoFrame]:
    """Yield frames until one is faulty, and tell `result` what was wrong; the caller counts them there."""
    packets = filled(container, stream)
    ended = False
    while not ended:
        try:
            packet = next(packets, None)
            ended = packet is None
            frames = stream.codec_context.decode(packet)
        except av.error.FFmpegError as error:
            result.fault = error.strerror or str(error)
            if result.count:
                return
            result.skipped += 1
            continue
        for frame in frames:
            if frame.is_corrupt:
                result.fault = f"frame {result.count} is corrupt"
                if result.count:
                    return
                result.skipped += 1
            elif result.count or frame.key_frame or not result.skipped:
                result.fault = None
                yield frame
