"""CLIP4Clip as a torch module: CLIP's towers and a temporal encoder, one vector for each side."""

from collections.abc import Mapping

import torch
from torch import nn

from xbench.scorers.clip.sizes import RetrievalSizes, with_prefix, without_prefix
from xbench.scorers.clip.style import OPENAI, Style
from xbench.scorers.clip.towers import ClipTowers, build_temporal, pool, unit
from xbench.scorers.weights import State


class Clip4ClipModel(nn.Module):
    """Luo et al. 2021 (arXiv:2104.08860), parameter-free and sequential types. Differentiable."""

    def __init__(
        self, sizes: RetrievalSizes, state: Mapping[str, torch.Tensor], style: Style = OPENAI
    ) -> None:
        """Build from a complete state dict in the published layout, whose tensors become the parameters."""
        super().__init__()
        self.towers = ClipTowers(sizes.clip, without_prefix("clip.", state), style)
        self.temporal = build_temporal(sizes, state)
        self.logit_scale = nn.Parameter(state["clip.logit_scale"])

    def texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode token ids int64 [B, W] to float32 [B, D], L2-normalised.

        The text is its position of the highest token id, the first of them where there are several.
        """
        words = self.towers.words(tokens).float()
        return unit(words[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)])

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised frames [N, 3, H, W] to float32 [N, D], not normalised."""
        return self.towers.images(pixels).float()

    def videos(self, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Turn frame features [B, F, D] into float32 [B, D], L2-normalised.

        The temporal encoder with its residual, L2 for each frame, the mean over the mask, L2. What lies under
        the padding of `mask` bool [B, F] does not matter as long as it is finite and not zero.
        """
        return pool(self.temporal(images, mask), mask)

    def official_state(self) -> State:
        """Return the state dict in the published layout, as `pytorch_model.bin.N` holds it."""
        clip = self.towers.official_state() | {"logit_scale": self.logit_scale.data}
        return with_prefix("clip.", clip) | self.temporal.official_state()
