"""CLIP's preprocessing of a frame, to the last bit as the published code does it (Pillow, then float32)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image


def resize_and_crop(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the smaller side to `size` (Pillow bicubic) and crop the centre; uint8 RGB [3, size, size].

    The longer side becomes int(size * long / short); a crop margin that ends in one half goes to the even
    neighbour, as Python's `round` does (11.5 becomes 12).
    """
    width, height = image.size
    short, long = min(width, height), int(size * max(width, height) / min(width, height))
    if short != size:
        image = image.resize((size, long) if width <= height else (long, size), Image.Resampling.BICUBIC)
    left, top = (round((side - size) / 2) for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + size, top + size)).convert("RGB"))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def normalise(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Turn uint8 frames [..., 3, H, W] into float32 (x / 255 - mean) / std, per RGB channel.

    The three operations are rounded to float32 one after the other, in this order: any other order differs
    from the published tensors in the last bit.
    """
    shape = (3, 1, 1)
    scaled = frames.to(torch.float32).div_(255)
    means = torch.tensor(mean, dtype=torch.float32, device=frames.device).view(shape)
    stds = torch.tensor(std, dtype=torch.float32, device=frames.device).view(shape)
    return scaled.sub_(means).div_(stds)
