"""A small video file with sound, noise both: the same pixels and samples from a seed on every machine."""

from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 4
"""Frames a second."""
_SECONDS = 2
_SIZE = (32, 48)
_SAMPLES = 16_000
"""Of sound, a second."""


def write_noise(path: Path, seed: int) -> Path:
    """Write two seconds of noise, 8 frames of 48 x 32 pixels and mono sound; Matroska with FFV1 and PCM."""
    import av

    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("ffv1", rate=RATE), container.add_stream("pcm_s16le", _SAMPLES)
        pictures.height, pictures.width = _SIZE
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.thread_count = 1
        for number in range(RATE * _SECONDS):
            planes = random.integers(0, 256, (_SIZE[0] * 3 // 2, _SIZE[1]), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(pictures.encode(frame))
            samples = random.integers(-9000, 9000, (1, _SAMPLES // RATE), dtype=np.int16)
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate, heard.pts = _SAMPLES, number * _SAMPLES // RATE
            heard.time_base = Fraction(1, _SAMPLES)
            container.mux(sound.encode(heard))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path
