"""X-Pool's encoders as a torch module: CLIP's towers, nothing normalised."""

from collections.abc import Mapping

import torch
from torch import nn

from xbench.scorers.clip.sizes import ClipSizes, without_prefix
from xbench.scorers.clip.towers import ClipTowers


class XPoolModel(nn.Module):
    """CLIP's towers as X-Pool reads them."""

    def __init__(self, sizes: ClipSizes, state: Mapping[str, torch.Tensor]) -> None:
        """Build from a complete state dict with OpenAI's layout, whose tensors become the parameters."""
        super().__init__()
        self.towers = ClipTowers(sizes, without_prefix("clip.", state))

    def texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode token ids int64 [B, W] to float32 [B, D]: the first position of the highest id."""
        words = self.towers.words(tokens).float()
        return words[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)]

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised frames [N, 3, H, W] to float32 [N, D]."""
        return self.towers.images(pixels).float()
