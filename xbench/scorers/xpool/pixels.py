"""X-Pool's transform of a frame: bicubic on floats, without antialias, not clamped to what a pixel can be.

So did torchvision's tensor transforms before 0.17; the same lines antialias since. Neither is CLIP's
transform, which resizes 8-bit images: on the small golden model that moves scores by 0.013, antialias by
0.014, clamping by 0.007.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from xbench.scorers.base import VideoInput

RULE = "tensor bicubic, no antialias, not clamped"
"""What records and caches call it."""


def video_input(size: int, frames: int) -> VideoInput:
    """Return what X-Pool sees of a video: the middles of so many equal parts, the last one again if short."""
    wants = VideoInput(size=size, max_frames=frames, sampling="uniform+repeat-last")
    return replace(wants, frame_transform=partial(transform, size=size, mean=wants.mean, std=wants.std))


def transform(
    picture: NDArray[np.uint8],
    *,
    size: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> torch.Tensor:
    """Turn a uint8 RGB frame [H, W, 3] into float32 [3, size, size].

    The smaller side becomes `size`, the other one int(size * long / short); a crop margin that ends in one
    half goes to the even neighbour.
    """
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float().div_(255)
    height, width = picture.shape[:2]
    long = int(size * max(height, width) / min(height, width))
    if min(height, width) != size:
        target = (size, long) if height <= width else (long, size)
        pixels = functional.interpolate(pixels, target, mode="bicubic", align_corners=False, antialias=False)
    top, left = (round((side - size) / 2) for side in pixels.shape[2:])
    cropped = pixels[0, :, top : top + size, left : left + size]
    means, stds = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return cropped.sub(means).div_(stds)
