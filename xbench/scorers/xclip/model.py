"""X-CLIP as a torch module: towers, temporal encoder, similarity. Differentiable throughout."""

from collections.abc import Mapping

import torch
from torch import nn

from xbench.scorers.clip.sizes import RetrievalSizes, with_prefix, without_prefix
from xbench.scorers.clip.towers import ClipTowers, build_temporal, pool, unit
from xbench.scorers.weights import State
from xbench.scorers.xclip.aosm import Aosm


class XClipModel(nn.Module):
    """The retrieval model of Ma et al. 2022 (not Microsoft's action-recognition model of that name)."""

    def __init__(self, sizes: RetrievalSizes, state: Mapping[str, torch.Tensor]) -> None:
        """Build from a complete state dict in the published layout, whose tensors become the parameters."""
        super().__init__()
        self.sizes = sizes
        self.towers = ClipTowers(sizes.clip, without_prefix("clip.", state))
        self.temporal = build_temporal(sizes, state)
        self.aosm = Aosm(state)

    def texts(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode token ids int64 [B, W] to float32 sentence [B, D] and words [B, W, D], L2-normalised.

        The sentence is the word at the highest token id, the first of them where there are several.
        """
        words = unit(self.towers.words(tokens).float())
        rows = torch.arange(len(tokens), device=tokens.device)
        return words[rows, tokens.argmax(dim=-1)], words

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised frames [N, 3, H, W] to float32 [N, D], not normalised."""
        return self.towers.images(pixels).float()

    def videos(self, images: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn frame features [B, F, D] into float32 video [B, D] and frames [B, F, D], L2-normalised.

        mask bool [B, F]: the frames before the padding. Padded positions must hold the features of a zero
        frame, which the similarity sees; only the temporal encoder and the pooling leave them out.
        """
        return pool(self.temporal(images, mask), mask), unit(images)

    def encode_frames(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode [B, F, 3, H, W] to [B, F, D]: the valid frames, and one zero frame for all padding."""
        zero = frames.new_zeros(1, *frames.shape[2:])
        encoded = self.images(torch.cat([frames[mask], zero]))
        return place(encoded[:-1], mask, encoded[-1])

    def official_state(self) -> State:
        """Return the state dict in the published layout, as `pytorch_model.bin.N` holds it."""
        clip = self.towers.official_state() | {"logit_scale": self.aosm.logit_scale.data}
        return with_prefix("clip.", clip) | self.temporal.official_state() | self.aosm.official_state()


def place(encoded: torch.Tensor, mask: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
    """Lay features [N, D] of the N valid frames out as [B, F, D], with `padding` [D] everywhere else."""
    which = torch.cumsum(mask.flatten(), dim=0) - 1
    rows = torch.cat([encoded, padding[None]])
    index = torch.where(mask.flatten(), which, len(encoded))
    return rows[index].reshape(*mask.shape, -1)
