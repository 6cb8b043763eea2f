"""Models that give a text and a video one vector each, a video's perhaps as the mean of its frames'."""

from collections.abc import Callable

import torch

from xbench.scorers.base import Features
from xbench.scorers.device import Batches, arithmetic, check_precision
from xbench.terms import Precision


class Cosine:
    """Scores pairs by the cosine of `text` and `video`, float32 [T, D] and [V, D], L2-normalised."""

    def __init__(self, precision: Precision, device: str) -> None:
        """Raises UsageError for a precision that is unknown or not to be had on the device."""
        self._device = torch.device(device)
        check_precision(precision, self._device)
        self.precision = precision

    @property
    def block(self) -> tuple[int, int]:
        """One product of matrices a block."""
        return 512, 512

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return the cosines float32 [T, V]."""
        texts, videos = text["text"].to(self._device), video["video"].to(self._device)
        with arithmetic(self.precision):
            return texts @ videos.T


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
