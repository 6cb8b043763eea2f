"""A DiDeMo folder in the published layout with a handful of videos, and a small random X-CLIP checkpoint."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.xclip.load import initial_state, random_clip

WORDS, FRAMES = 8, 4
MERGES = 40
STEMS = ["1@N00_1_a.mov", "2@N00_2_b.avi", "3@N00_3_c.mp4", "4@N00_4_d.", "5@N00_5_e.mp4", "6@N00_6_f.mpg"]


def write_video(path: Path, seed: int, seconds: int = 3, fps: int = 5) -> None:
    """Write an H.264 clip of moving noise; its content depends on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(seconds * fps):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_vocabulary(path: Path) -> None:
    """Write a vocabulary of the CLIP layout: a header line, then merges of letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [f"{first} {second}" for first in letters for second in letters][:MERGES]
    path.write_bytes(gzip.compress("\n".join(['"version: small"', *pairs]).encode(), mtime=0))


@dataclass(frozen=True)
class World:
    """Everything that a run needs, as paths."""

    annotations: Path
    videos: Path
    checkpoint: Path
    bpe: Path
    cache: Path
    output: Path

    def arguments(self, *more: str | Path) -> list[str]:
        """Return the arguments of a DiDeMo run."""
        options: Sequence[str | Path] = [
            *("run", "--dataset", "didemo", "--annotations", self.annotations, "--videos", self.videos),
            *("--checkpoint", self.checkpoint, "--bpe", self.bpe, "--cache-dir", self.cache),
            *("--output", self.output, *more),
        ]
        return [str(option) for option in options]


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A random X-CLIP checkpoint and the vocabulary that fits it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_vocabulary(folder / "bpe.txt.gz")
    clip = random_clip(
        ClipSizes(
            embed=64,
            image=32,
            patch=16,
            vision_width=64,
            vision_layers=1,
            context=16,
            vocabulary=2 * 256 + MERGES + 2,
            text_width=64,
            text_layers=2,
        )
    )
    state = initial_state(clip, words=WORDS, frames=FRAMES, layers=2, source="random")
    torch.save(state, folder / "pytorch_model.bin.4")
    return folder / "pytorch_model.bin.4", folder / "bpe.txt.gz"


@pytest.fixture
def world(tmp_path: Path, small_checkpoint: tuple[Path, Path]) -> World:
    """Six videos under DiDeMo names, with their annotations, a checkpoint, an empty cache."""
    annotations, videos = tmp_path / "annotations", tmp_path / "videos"
    annotations.mkdir()
    (annotations / "test_list.txt").write_text("\n".join(sorted(STEMS)))
    sentences = [
        {"video": name, "description": f"{word} {index}", "times": [[0, 0]] * 4, "num_segments": 6,
         "dl_link": "", "annotation_id": 10 * index + part}
        for index, name in enumerate(STEMS)
        for part, word in enumerate(["the cat", "a dog runs"])
    ]  # fmt: skip
    (annotations / "test_data.json").write_text(json.dumps(sentences))
    for seed, name in enumerate(STEMS):
        write_video(videos / "somewhere" / name, seed)
    checkpoint, bpe = small_checkpoint
    return World(annotations, videos, checkpoint, bpe, tmp_path / "cache", tmp_path / "results")
