"""Small clips for the tests, made on the spot. Every frame carries its number as ten black or white bars."""

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

_BITS = 10
_INTERLACED = 1 << 18 | 1 << 29  # coding and motion estimation by field


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Draw frame `number`: its bits as bars in the upper half, a moving colour ramp everywhere else."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([(x * 2 + number * 3) % 256, (y * 3 + number) % 256, (x + y) % 256], axis=-1)
    bar = width // _BITS
    for bit in range(_BITS):
        image[: height // 2, bit * bar : (bit + 1) * bar] = 235 if number >> bit & 1 else 16
    return image.astype(np.uint8)


def number_of(image: NDArray[np.uint8]) -> int:
    """Read the number back from a decoded RGB frame [H, W, 3]."""
    bar, height = image.shape[1] // _BITS, image.shape[0]
    rows = image[height // 8 : height // 2 - height // 8]
    levels = [rows[:, bit * bar + bar // 4 : (bit + 1) * bar - bar // 4].mean() for bit in range(_BITS)]
    return sum(1 << bit for bit, level in enumerate(levels) if level > 128)


def make(
    path: Path,
    *,
    codec: str = "libx264",
    rate: Fraction | int = 25,
    frames: int = 100,
    size: tuple[int, int] = (96, 64),
    gop: int = 250,
    b_frames: int = 2,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    base: Fraction | None = None,
    first_time: int = 0,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    tags: tuple[int, int, int] | None = None,
    full_range: bool = False,
    field: str | None = None,
) -> Path:
    """Encode a clip; size: width, height.

    tags: colour matrix, primaries and transfer curve by the numbers of ITU-T H.273. field: the first of an
    interlaced frame, `tff` or `bff`.

    times: when each frame is shown, in milliseconds, for a variable rate; rounded to `base` where given.
    first_time: the number of the first frame's time; below 0, an edit list hides the frames before 0.
    """
    tick = base or (1 / Fraction(rate) if times is None else Fraction(1, 1000))
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = gop, b_frames, 1
        context.time_base = tick
        if rotation is not None:
            stream.set_display_rotation(rotation)
        _tag(context, tags, full_range)
        context.flags |= _INTERLACED if field else 0
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24").reformat(format=pixels)
            frame = _fields(frame, field) if field else frame
            _tag(frame, tags, full_range)
            frame.pts = number + first_time if times is None else int(Fraction(times[number], 1000) / tick)
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _tag(of: Any, tags: tuple[int, int, int] | None, full_range: bool) -> None:
    if tags:
        of.colorspace, of.color_primaries, of.color_trc = tags
    if full_range:
        of.color_range = 2


def _fields(frame: av.VideoFrame, first: str) -> av.VideoFrame:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", first), graph.add("buffersink")).configure()
    frame.pts = 0
    graph.vpush(frame)
    return graph.vpull()


def irregular(seed: int, frames: int) -> list[int]:
    """Draw the times, in milliseconds, of a variable rate: jitter, dropped frames, or a change of rate."""
    rng = random.Random(seed)
    steps = {
        0: lambda number: rng.choice([20, 33, 40, 50]),
        1: lambda number: 40 * (1 + (rng.random() < 0.2) * rng.choice([1, 2, 5])),
        2: lambda number: 33 if number < frames // 2 else 200,
        3: lambda number: 4000 if number == frames // 2 else 40,
    }[seed % 4]
    times = [0]
    for number in range(frames - 1):
        times.append(times[-1] + steps(number))
    return times


def make_resized(path: Path, *sizes: tuple[int, int], frames: int = 60) -> Path:
    """Make an AVI whose frames change size: `frames` of each size, under a header with the first."""
    coded = [packet for size in sizes for packet in _coded(path, size, frames, gop=12, b_frames=0)]
    return _write(path, sizes[0], [(bytes(packet), packet.is_keyframe) for packet in coded])


def make_headless(path: Path, *, frames: int) -> Path:
    """Make an AVI that lost its first group of pictures: two B-frames after the new first one cannot decode.

    It holds `frames` packets and two frames less.
    """
    coded = _coded(path, (96, 64), frames + 10, gop=12, b_frames=2)
    start = [packet.is_keyframe for packet in coded].index(True, 1)
    return _write(path, (96, 64), [(bytes(packet), packet.is_keyframe) for packet in coded[start:]])


def make_packed(
    path: Path, *, frames: int, gop: int, b_frames: int, size: tuple[int, int] = (96, 64)
) -> Path:
    """Make an AVI as DivX and XviD write it: a B-frame lies behind its reference frame in one packet.

    Where the B-frame belonged, an empty picture stands.
    """
    coded = _coded(path, size, frames, gop=gop, b_frames=b_frames)
    latest = [max(packet.pts for packet in coded[: at + 1]) for at in range(len(coded))]
    is_b = [packet.pts < newest for packet, newest in zip(coded, latest, strict=True)] + [False]
    packets: list[tuple[bytes, bool]] = []
    at = 0
    while at < len(coded):
        behind = at + 1
        while is_b[behind]:
            behind += 1
        data = _signed_divx(bytes(coded[at])) if coded[at].is_keyframe else bytes(coded[at])
        group = [bytes(packet) for packet in coded[at + 1 : behind]]
        packets.append((data + b"".join(group[:1]), coded[at].is_keyframe))
        packets += [(other, False) for other in group[1:]]
        packets += [(_EMPTY_PICTURE, False)] * bool(group)
        at = behind
    return _write(path, size, packets)


_EMPTY_PICTURE = b"\0\0\1\xb6" + int("0101000001001111", 2).to_bytes(2, "big")
"""MPEG-4 picture header: predicted, same second, increment 0 of 25, not coded, padding."""


def _signed_divx(data: bytes) -> bytes:
    """Put DivX's signature, which announces packed B-frames, before the picture."""
    picture_start = data.find(b"\0\0\1\xb6")
    return data[:picture_start] + b"\0\0\1\xb2DivX503b1393p" + data[picture_start:]


def _coded(path: Path, size: tuple[int, int], frames: int, *, gop: int, b_frames: int) -> list[av.Packet]:
    with av.open(str(path), "w") as container:
        stream = _mpeg4_stream(container, size)
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        packets = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        return packets + stream.encode(None)


def _write(path: Path, size: tuple[int, int], packets: list[tuple[bytes, bool]]) -> Path:
    with av.open(str(path), "w") as container:
        stream = _mpeg4_stream(container, size)
        for number, (data, key) in enumerate(packets):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, key
            container.mux(packet)
    return path


def _mpeg4_stream(container: av.container.OutputContainer, size: tuple[int, int]) -> av.VideoStream:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.max_b_frames, stream.codec_context.thread_count = 0, 1
    stream.codec_context.time_base = Fraction(1, 25)
    return stream
