"""Weighted token interaction: every word against every frame, each side's best matches weighted."""

from collections.abc import Mapping

import torch
from torch import nn

from xbench.scorers.base import Features
from xbench.scorers.clip.towers import unit

_MASKED = -9e15
"""The logit of a padded position."""


class Weighting(nn.Module):
    """How much each word of a text, or frame of a video, counts: a small network and a softmax."""

    def __init__(self, layers: Mapping[str, torch.Tensor]) -> None:
        """Take the layers by their names behind `text_weight_fc` or `video_weight_fc`: `sizes.layers_of`."""
        super().__init__()
        names = sorted(name for name in layers if name.endswith("weight"))
        self.weights = nn.ParameterList(nn.Parameter(layers[name]) for name in names)
        self.biases = nn.ParameterList(
            nn.Parameter(layers[f"{name.removesuffix('weight')}bias"]) for name in names
        )

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return weights [B, L] of tokens [B, L, D], not normalised: 0 under the padding of `mask`, sum 1."""
        hidden = tokens
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = nn.functional.linear(hidden.relu() if number else hidden, weight, bias)
        return torch.softmax(hidden.squeeze(-1).masked_fill(~mask, _MASKED), dim=-1)


def as_features(tokens: torch.Tensor, weights: torch.Tensor, mask: torch.Tensor) -> Features:
    """Return what the similarity wants: `tokens` [B, L, D] of unit length, 0 under the padding; `weights`.

    So the cosine of a pair with padding in it is 0, as the published code has it, and where all others are
    negative it is the best one.
    """
    return {"tokens": unit(tokens) * mask[..., None], "weights": weights}


def scores(text: Features, video: Features) -> torch.Tensor:
    """Return the scores [T, V] of texts and videos, each as `as_features` gives them.

    The mean of two sums: over words, weighted, of the cosine with the nearest frame, and over frames of that
    with the nearest word. Holds T x W x V x F cosines.
    """
    (texts, words, _), (videos, frames, width) = text["tokens"].shape, video["tokens"].shape
    cosines = text["tokens"].flatten(0, 1) @ video["tokens"].reshape(videos * frames, width).T
    cosines = cosines.view(texts, words, videos, frames)
    by_word = (cosines.amax(dim=3) * text["weights"][:, :, None]).sum(dim=1)
    by_frame = (cosines.amax(dim=1) * video["weights"]).sum(dim=2)
    return (by_word + by_frame) / 2
