"""Small clips for the tests, made on the spot. Every frame carries its number as ten black or white bars."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_BITS = 10


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
    rotation: int | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
) -> Path:
    """Encode a clip. times: each frame's time in milliseconds, for a variable rate; size: width, height."""
    base = 1 / Fraction(rate) if times is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = gop, b_frames, 1
        context.time_base = base
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = (number if times is None else times[number]), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
