"""Made-up videos, handed to a scorer as the harness would: a tensor of one shape, or clips with files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xbench.sampling import frame_rule
from xbench.scorers.base import Clip, ClipScorer, Features, FrameScorer, Scorer, VideoInput
from xbench.scorers.verify.broken import BrokenError
from xbench.scorers.verify.noise_file import RATE, write_noise

_FREE = 6
"""Frames of a long video where nothing limits them."""
_WIDE = (120, 160)
_HIGH = (160, 120)
"""Height and width of frames in a file's own size."""


@dataclass(frozen=True)
class Videos:
    """Videos of noise: frames and mask, or clips."""

    given: tuple[torch.Tensor, torch.Tensor] | Sequence[Clip]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.given[0]) if isinstance(self.given, tuple) else len(self.given)

    def encode(self, scorer: Scorer, which: slice = slice(None)) -> Features:
        """Have a scorer encode some of them in one call."""
        if isinstance(self.given, tuple):
            assert isinstance(scorer, FrameScorer)
            frames, mask = self.given
            return scorer.encode_videos(frames[which], mask[which])
        assert isinstance(scorer, ClipScorer)
        return scorer.encode_clips(self.given[which])


def most_frames(wants: VideoInput) -> int:
    """Return how many frames of a view a long video has for a scorer."""
    rule = frame_rule(wants.sampling)
    return 0 if rule.name == "none" else rule.frames or wants.max_frames or _FREE


def counts(wants: VideoInput, few: int = 1) -> tuple[int, int, int]:
    """Return the frames of a long video, of one of half of them, and of a short one.

    All are alike where no frame is taken, or the last one is repeated.
    """
    most = most_frames(wants)
    if most == 0 or frame_rule(wants.sampling).repeat_last:
        return most, most, most
    return most, max(1, most // 2), min(few, most)


def noise_videos(wants: VideoInput, counted: Sequence[int], seed: int, folder: Path) -> Videos:
    """Make a video of noise for each number of frames; `seed` is the first one's. Files go into `folder`.

    The first is a wide one where the scorer sees a file's own aspect ratio, the others are high. Raises
    BrokenError for a transform of a frame that does not give what it must.
    """
    if wants.clips:
        return Videos([noise_clip(wants, count, seed + at, folder) for at, count in enumerate(counted)])
    clips = [_frames(wants, count, seed + at, wide=seed + at == 0) for at, count in enumerate(counted)]
    length = wants.max_frames or max(counted)
    mask = torch.arange(length) < torch.tensor(counted)[:, None]
    frames = torch.zeros(len(clips), length, *clips[0].shape[1:], dtype=clips[0].dtype)
    for row, clip in enumerate(clips):
        if clip.shape[1:] != clips[0].shape[1:]:
            raise BrokenError(
                f"frame_transform gives {list(clips[0].shape[1:])} for a wide frame and "
                f"{list(clip.shape[1:])} for a high one: all frames must come out alike."
            )
        frames[row, : len(clip)] = clip
    return Videos((frames, mask))


def noise_clip(wants: VideoInput, count: int, seed: int, folder: Path) -> Clip:
    """Make a clip of `count` frames a view, with a file of its own: noise in pictures and sound."""
    views = (2 if frame_rule(wants.sampling).windows else 1) * (3 if wants.crop == "three" else 1)
    frames = torch.cat([_frames(wants, count, seed * views + view, wide=seed == 0) for view in range(views)])
    path = write_noise(folder / f"noise{seed}.mkv", seed)
    times = torch.arange(count, dtype=torch.float64).repeat(views) / RATE
    view = torch.arange(views).repeat_interleave(count)
    return Clip(f"noise{seed}", path, None, frames, times, view, float(RATE))


def _frames(wants: VideoInput, count: int, seed: int, *, wide: bool) -> torch.Tensor:
    """Return frames of noise as a scorer sees them, [count, 3, h, w]."""
    own = _WIDE if wide else _HIGH
    if count == 0:
        return torch.zeros(0, 3, 0, 0)
    if wants.frame_transform is not None:
        return torch.stack([_transformed(wants, picture) for picture in _pictures(count, seed, own)])
    height, width = _size(wants, own)
    generator = torch.Generator().manual_seed(seed)
    if wants.as_uint8:
        return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)
    return torch.randn(count, 3, height, width, generator=generator)


def _size(wants: VideoInput, own: tuple[int, int]) -> tuple[int, int]:
    if wants.size is None:
        return own
    if wants.crop != "whole":
        return wants.size, wants.size
    height, width = (side * wants.size // min(own) for side in own)
    return height, width


def _pictures(count: int, seed: int, own: tuple[int, int]) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, *own, 3), dtype=np.uint8)


def _transformed(wants: VideoInput, picture: Any) -> torch.Tensor:
    assert wants.frame_transform is not None
    frame = wants.frame_transform(picture)
    if not isinstance(frame, torch.Tensor) or frame.ndim != 3 or not frame.is_floating_point():
        raise BrokenError("frame_transform must give a float tensor [3, h, w] for a uint8 frame [H, W, 3].")
    return frame
