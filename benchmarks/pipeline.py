"""How long the encoder waits: a run over many clips, beside what the encoder alone takes in the same run."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.clips import write_clip
from benchmarks.figure import Figure
from benchmarks.models import scorer, vit_b32_state
from xbench.data.split import Video
from xbench.engine.store import Store
from xbench.pipeline.features import VideoJob, encode_videos
from xbench.scorers.base import Features
from xbench.scorers.xclip.scorer import XClip
from xbench.video.identity import Identities


class Timed:
    """Adds up the seconds of a scorer's `encode_videos`."""

    def __init__(self, inner: XClip) -> None:
        self.scorer, self.seconds, self._encode = inner, 0.0, inner.encode_videos
        inner.encode_videos = self._timed  # type: ignore[method-assign]

    def _timed(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        start = time.perf_counter()
        features = self._encode(frames, mask)
        self.seconds += time.perf_counter() - start
        return features


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield all that is not encoding (decoding that is waited for, normalising, saving) as part of a run."""
    clips, distinct, length = (6, 2, 6) if small else (48, 6, 12)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write_clip(folder / f"{n}.mp4", length, seed=n) for n in range(distinct)]
        contents = Identities(None)
        files = [(path, *contents.of(path)) for path in paths]
        jobs = [
            VideoJob(Video(str(number)), path, f"{number} {key}", state, pixels="published")
            for number in range(clips)
            for path, key, state in [files[number % distinct]]
        ]
        timed = Timed(scorer(vit_b32_state(vision_layers=3 if small else 12), folder))
        encode(timed, folder / "warm", jobs[:1])
        timed.seconds = 0.0
        start = time.perf_counter()
        encode(timed, folder / "cold", jobs)
        seconds = time.perf_counter() - start
    yield Figure(
        "pipeline",
        f"decode and encode {clips} clips of {length} s, {'3 layers of ' if small else ''}ViT-B/32",
        seconds,
        "the encoder alone",
        timed.seconds,
        wanted=None if small else 1 / 1.1,
        note="2 decoding threads; at most 10% of the encoder's time may be waiting",
    )


def encode(timed: Timed, folder: Path, jobs: list[VideoJob]) -> None:
    store = Store(folder, "bench", {})
    encode_videos(
        timed.scorer,
        store,
        jobs,
        wants=timed.scorer.video_input,
        use_damaged=False,
        workers=2,
        on_done=lambda count: None,
    )
