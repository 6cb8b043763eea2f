"""Video files to decode: a textured picture that moves and flickers, coded as web videos usually are."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 30


def write_clip(path: Path, seconds: int, *, size: tuple[int, int] = (320, 240), seed: int = 0) -> Path:
    """Write H.264 at FPS frames a second with a key frame every 250, as x264 does by itself."""
    width, height = size
    random = np.random.default_rng(seed)
    picture = _texture(random, height, 2 * width)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 250
        for number in range(seconds * FPS):
            shown = np.roll(picture, -2 * number, axis=1)[:, :width]
            noise = random.integers(0, 12, (height, width, 1), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown + noise), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _texture(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Coarse and fine blotches [height, width, 3], dark enough for noise on top."""
    total = np.zeros((height, width, 3))
    for cell in (4, 16, 64):
        small = random.random((-(-height // cell), -(-width // cell), 3))
        total += np.kron(small, np.ones((cell, cell, 1)))[:height, :width]
    return (total * 80).astype(np.uint8)
