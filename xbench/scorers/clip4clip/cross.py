"""The cross encoder of CLIP4Clip's tight type: a text and the frames of a video as one sequence."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from xbench.scorers.clip.sizes import RetrievalSizes, with_prefix, without_prefix
from xbench.scorers.clip.towers import AttentionBlocks, ClipTowers
from xbench.scorers.clip4clip.sizes import CROSS_BLOCKS, CROSS_POSITIONS
from xbench.scorers.weights import State

_EPS = 1e-12
"""LayerNorm's epsilon in the cross encoder (`modules/until_module.py`)."""
_MASKED = -1e6


class TightModel(nn.Module):
    """Luo et al. 2021 (arXiv:2104.08860), section 3.3, tight type: CLIP's towers and a cross encoder."""

    def __init__(self, sizes: RetrievalSizes, state: Mapping[str, torch.Tensor]) -> None:
        """Build from a complete state dict in the published layout, whose tensors become the parameters."""
        super().__init__()
        self.towers = ClipTowers(sizes.clip, without_prefix("clip.", state))
        self.logit_scale = nn.Parameter(state["clip.logit_scale"])
        self.positions = nn.Parameter(state[CROSS_POSITIONS])
        self.blocks = AttentionBlocks(
            sizes.clip.embed, sizes.temporal_layers, _EPS, without_prefix(CROSS_BLOCKS, state)
        )
        self.norm = nn.LayerNorm(sizes.clip.embed, eps=_EPS)
        self.dense = nn.Linear(sizes.clip.embed, sizes.clip.embed)
        self.score = nn.Linear(sizes.clip.embed, 1)
        for name, part in self._named_parts().items():
            part.load_state_dict(without_prefix(f"{name}.", state), assign=True)

    def texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode token ids int64 [B, W] to float32 [B, D], not normalised: the first highest token id."""
        words = self.towers.words(tokens).float()
        return words[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)]

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised frames [N, 3, H, W] to float32 [N, D], not normalised."""
        return self.towers.images(pixels).float()

    def pairs(self, sentences: torch.Tensor, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Score P pairs: sentences [P, D], frames [P, F, D], mask bool [P, F] -> [P].

        The sentence and the frames, positions added, go through the blocks as one sequence; what the sentence
        has become is normalised, made one layer deeper (QuickGELU), and turned into a number
        (`_cross_similarity` in modules/modeling.py, `CrossModel` in modules/module_cross.py). Padded frames
        are masked as keys, so that what lies there does not matter as long as it is finite.
        """
        sequence = torch.cat([sentences[:, None], frames], dim=1)
        length = sequence.shape[1]
        bias = functional.pad((~mask).to(sequence.dtype) * _MASKED, (1, 0))[:, None, None, :]
        hidden = self.blocks(sequence + self.positions[:length], bias.expand(-1, -1, length, -1))
        deep = self.dense(self.norm(hidden[:, 0]))
        scores: torch.Tensor = self.score(deep * torch.sigmoid(1.702 * deep))[:, 0]
        return scores

    def official_state(self) -> State:
        """Return the state dict in the published layout, as `pytorch_model.bin.N` holds it."""
        clip = self.towers.official_state() | {"logit_scale": self.logit_scale.data}
        found = with_prefix("clip.", clip) | {CROSS_POSITIONS: self.positions.data}
        found |= with_prefix(CROSS_BLOCKS, self.blocks.official_state())
        for name, part in self._named_parts().items():
            found |= with_prefix(f"{name}.", part.state_dict())
        return found

    def _named_parts(self) -> dict[str, nn.Module]:
        return {
            "cross.pooler.ln_pool": self.norm,
            "cross.pooler.dense": self.dense,
            "similarity_dense": self.score,
        }
