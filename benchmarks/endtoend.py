"""A whole evaluation of an MSVD-like set, many captions a video, beside the published way through it.

The published loader decodes a video once for each of its captions; its scoring runs the temporal encoder for
every block of pairs; its metrics sort. Both ways encode each video and each caption once, with one model.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.clips import write_clip
from benchmarks.extractor import extract
from benchmarks.figure import Figure, versus
from benchmarks.models import scorer, vit_b32_state
from benchmarks.ranking import published_ranks
from benchmarks.reference import Encoded, published_scores
from xbench.data.split import Video
from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import rank
from xbench.engine.store import Store
from xbench.engine.units import Queries
from xbench.pipeline.features import VideoJob, encode_texts, encode_videos
from xbench.scorers.weights import State
from xbench.scorers.xclip.scorer import XClip
from xbench.video.identity import Identities

BLOCK = 40


@dataclass(frozen=True)
class World:
    """A set: files of videos, captions, how many each video has; and the model."""

    paths: list[Path]
    captions: list[str]
    each: int
    model: XClip
    state: State


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the set's figure. MSVD has 41 captions a video."""
    videos, each, seconds, layers = (2, 5, 6, 1) if small else (4, 41, 10, 12)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write_clip(folder / f"{number}.mp4", seconds, seed=number) for number in range(videos)]
        captions = [
            f"someone does thing {caption} of video {v}" for v in range(videos) for caption in range(each)
        ]
        state = vit_b32_state(vision_layers=layers)
        world = World(paths, captions, each, scorer(state, folder), state)
        yield versus(
            "end to end",
            f"{videos} videos of {seconds} s x {each} captions, {layers}-layer ViT-B/32",
            lambda: ours(world),
            "the published way",
            lambda: published(world),
            rounds=2 if small else 3,
        )


def ours(world: World) -> None:
    """From files to ranks, with an empty store."""
    wants = world.model.video_input
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name), "bench", {})
        contents = Identities(None)
        jobs = [
            VideoJob(Video(path.stem), path, *contents.of(path), pixels="published") for path in world.paths
        ]
        encoded = encode_videos(
            world.model,
            store,
            jobs,
            wants=wants,
            use_damaged=False,
            workers=2,
            on_done=lambda count: None,
        )
        texts = encode_texts(world.model, store, world.captions, lambda count: None)
        videos = FeatureTable([each.features for each in encoded if each.features is not None])
        rows = np.arange(len(world.captions))
        rank(world.model, texts, videos, Queries(rows, rows // world.each), "group-max")


def published(world: World) -> None:
    """The same, decoding for every caption."""
    frames = world.model.video_input.max_frames
    clips = [[extract(path) for _ in range(world.each)][-1][:frames] for path in world.paths]
    padded = torch.zeros(len(clips), frames, *clips[0].shape[1:])
    mask = torch.zeros(len(clips), frames, dtype=torch.bool)
    for row, clip in enumerate(clips):
        padded[row, : len(clip)], mask[row, : len(clip)] = clip, True
    video = world.model.encode_videos(padded, mask)
    text = world.model.encode_texts(world.captions)
    encoded = Encoded(text["sentence"], text["words"], video["frames"], mask)
    with torch.inference_mode():
        scores = published_scores(encoded, world.state, BLOCK)
    best = scores[:: world.each][: len(clips)]
    published_ranks(best)
    published_ranks(best.T)
