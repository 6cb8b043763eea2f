"""A scorer and the made-up inputs that it is tried on."""

from functools import cached_property

import numpy as np
import torch

from xbench.sampling import frame_rule
from xbench.scorers.base import Features, Scorer, VideoInput

TEXTS = (
    "a cat",
    "A dog runs through the grass — fast! Ünïcode, “quotes” & 🐶\n",
    "someone explains at great length what is going on " * 100,
)


NOISE = 200
"""Texts and videos of noise."""
_NOISE_FRAMES = 3
"""More than one, over which a text could pool; few, because there are many videos."""
_AT_ONCE = 8
_WORDS = ["red", "blue", "cat", "dog", "man", "woman", "child", "tree", "runs", "sings", "cooks", "jumps"]


class BrokenError(Exception):
    """A promise that is not kept, in a sentence."""


class Trial:
    """A scorer with the inputs it is tried on, encoded once."""

    def __init__(self, scorer: Scorer, tolerance: float) -> None:
        self.scorer, self.tolerance = scorer, tolerance

    @cached_property
    def frames(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Three videos of noise with all, half and one of the frames, padded as the harness does.

        All have all frames where the last one is repeated.
        """
        wants = self.scorer.video_input
        counts: tuple[int, ...] = (wants.max_frames, max(1, wants.max_frames // 2), 1)
        if frame_rule(wants.sampling).repeat_last:
            counts = (wants.max_frames,) * len(counts)
        clips = [_noise(count, seed, wants) for seed, count in enumerate(counts)]
        mask = torch.arange(wants.max_frames) < torch.tensor(counts)[:, None]
        frames = torch.zeros(len(clips), wants.max_frames, *clips[0].shape[1:])
        for row, clip in enumerate(clips):
            if clip.shape[1:] != clips[0].shape[1:]:
                raise BrokenError(
                    f"frame_transform gives {list(clips[0].shape[1:])} for a wide frame and "
                    f"{list(clip.shape[1:])} for a high one: all frames must come out alike."
                )
            frames[row, : len(clip)] = clip
        return frames, mask

    @cached_property
    def noise(self) -> tuple[Features, Features]:
        """The features of as many texts as videos that mean nothing."""
        wants = self.scorer.video_input
        few = not frame_rule(wants.sampling).repeat_last
        count = min(wants.max_frames, _NOISE_FRAMES) if few else wants.max_frames
        random = np.random.default_rng(0)
        texts = [" ".join(random.choice(_WORDS, 6)) + f" {number}" for number in range(NOISE)]
        mask = torch.arange(wants.max_frames)[None] < torch.full((_AT_ONCE, 1), count)
        videos = []
        for start in range(0, NOISE, _AT_ONCE):
            clips = [_noise(count, 1000 + start + number, wants) for number in range(_AT_ONCE)]
            frames = torch.zeros(_AT_ONCE, wants.max_frames, *clips[0].shape[1:])
            frames[:, :count] = torch.stack(clips)
            videos.append(self.scorer.encode_videos(frames, mask))
        joined = {name: torch.cat([part[name] for part in videos]) for name in videos[0]}
        return self.scorer.encode_texts(texts), joined

    @cached_property
    def text(self) -> Features:
        return self.scorer.encode_texts(TEXTS)

    @cached_property
    def video(self) -> Features:
        return self.scorer.encode_videos(*self.frames)

    @cached_property
    def scores(self) -> torch.Tensor:
        return self.scorer.similarity(self.text, self.video)


def _noise(count: int, seed: int, wants: VideoInput) -> torch.Tensor:
    if wants.frame_transform is None:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 3, wants.size, wants.size, generator=generator)
    size = (120, 160, 3) if seed == 0 else (160, 120, 3)
    pictures = np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)
    frames = [wants.frame_transform(picture) for picture in pictures]
    for frame in frames:
        if not isinstance(frame, torch.Tensor) or frame.ndim != 3 or not frame.is_floating_point():
            raise BrokenError(
                "frame_transform must give a float tensor [3, h, w] for a uint8 frame [H, W, 3]."
            )
    return torch.stack(frames)
