"""Frame extraction beside the published one, which seeks through OpenCV for every second."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.clips import write_clip
from benchmarks.extractor import extract
from benchmarks.figure import Figure, versus
from xbench.scorers.base import VideoInput
from xbench.video.choice import Sampling
from xbench.video.decode import normalise, read_clip
from xbench.video.identity import content_key

WANTS = VideoInput()


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield one-a-second sampling of a 15 s clip at 224 pixels; the frames are equal to the bit."""
    sizes = [((320, 240), 3.0)] if small else [((320, 240), 3.0), ((1280, 720), None)]
    for size, wanted in sizes:
        with tempfile.TemporaryDirectory() as folder:
            clip = write_clip(Path(folder) / "clip.mp4", 15, size=size)
            if not torch.equal(ours(clip), extract(clip)):
                raise SystemExit(
                    f"the frames of {size[0]}x{size[1]} are not those of the published extractor"
                )
            yield versus(
                "decoding",
                f"15 s, {size[0]}x{size[1]}, 1 frame a second",
                lambda clip=clip: ours(clip),
                "OpenCV seeking",
                lambda clip=clip: extract(clip),
                rounds=3 if small else 7,
                wanted=wanted,
                note="one thread against OpenCV's own choice",
            )
            yield versus(
                "decoding",
                f"sha256 of the file, 15 s, {size[0]}x{size[1]}",
                lambda clip=clip: content_key(clip),
                "extraction of its frames",
                lambda clip=clip: ours(clip),
                rounds=3 if small else 7,
                wanted=20.0,
                steady=False,
                note="knowing a file by all of its bytes may cost 5% of extraction",
            )


def ours(clip: Path) -> torch.Tensor:
    """Return what the encoder gets of a clip that it sees whole, float32 [n, 3, 224, 224]."""
    taken = read_clip(clip, None, Sampling(64), WANTS.size)
    return normalise(torch.from_numpy(taken.frames), WANTS.mean, WANTS.std)
