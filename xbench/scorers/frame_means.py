"""A video as the mean of its frames' vectors, for models of images."""

from collections.abc import Callable

import torch

from xbench.scorers.device import Batches


def mean_of_frames(
    frames: torch.Tensor,
    mask: torch.Tensor,
    batches: Batches,
    encode: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Return the means of frames' vectors, float32 [B, D], L2-normalised; padding is not looked at.

    frames and mask: as `encode_videos` gets them. encode: some frames [N, 3, H, W] to vectors [N, D].
    """
    pixels = frames[mask.to(frames.device)]
    vectors = torch.cat(batches.each(len(pixels), lambda part: encode(pixels[part])))
    own = torch.split(vectors, mask.sum(dim=1).tolist())
    return unit(torch.stack([each.mean(dim=0) for each in own]))


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors [..., D] divided by their length."""
    return torch.div(vectors, torch.linalg.vector_norm(vectors, dim=-1, keepdim=True))
