"""Weighted token interaction as a torch module: CLIP's towers, a temporal encoder, two small networks."""

from collections.abc import Mapping

import torch
from torch import nn

from xbench.scorers.clip.sizes import without_prefix
from xbench.scorers.clip.towers import ClipTowers, build_temporal
from xbench.scorers.wti.interaction import Weighting
from xbench.scorers.wti.sizes import TEXT, VIDEO, InteractionSizes, layers_of


class WtiModel(nn.Module):
    """What HBI (Jin et al. 2023) and DRL (Wang et al. 2022) encode. Differentiable; nothing is normalised."""

    def __init__(self, sizes: InteractionSizes, state: Mapping[str, torch.Tensor]) -> None:
        """Build from a state dict complete for `sizes`, whose tensors become the parameters."""
        super().__init__()
        self.towers = ClipTowers(sizes.clip, without_prefix("clip.", state))
        self.temporal = build_temporal(sizes.retrieval, state)
        self.weigh_words = Weighting(layers_of(state, TEXT))
        self.weigh_frames = Weighting(layers_of(state, VIDEO))

    def words(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode token ids int64 [B, W] to float32 [B, W, D]."""
        return self.towers.words(tokens).float()

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised frames [N, 3, H, W] to float32 [N, D], before the temporal encoder."""
        return self.towers.images(pixels).float()
