"""From frame features to one video feature: the three temporal encoders of CLIP4Clip and X-CLIP.

Each maps frame features [B, F, D] and a mask [B, F] to [B, F, D] (`modules/modeling_xclip.py`, points 3, 5, 6
and 8 of the published model); the pooling after it is the same for all.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from xbench.scorers.clip.layout import with_prefix, without_prefix
from xbench.scorers.clip.towers import AttentionBlocks
from xbench.scorers.clip.variants import POSITIONS, RetrievalSizes
from xbench.scorers.weights import State

_EPS = 1e-12
_MASKED = -1e6


class MeanPooling(nn.Module):
    """`meanP`: nothing happens before the pooling."""

    def forward(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return frames

    def official_state(self) -> State:
        """This encoder has no weights."""
        return {}


class TemporalTransformer(nn.Module):
    """`seqTransf`: frame positions and CLIP-like blocks, padded frames masked; residual around it."""

    def __init__(self, sizes: RetrievalSizes, state: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.positions = nn.Parameter(state[POSITIONS])
        self.blocks = AttentionBlocks(
            sizes.clip.embed, sizes.temporal_layers, _EPS, without_prefix("transformerClip.", state)
        )

    def forward(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        length = frames.shape[1]
        bias = (~mask).to(frames.dtype)[:, None, None, :] * _MASKED
        hidden: torch.Tensor = self.blocks(frames + self.positions[:length], bias.expand(-1, -1, length, -1))
        return hidden + frames

    def official_state(self) -> State:
        """Return the weights under the names of a checkpoint."""
        return {POSITIONS: self.positions.data} | with_prefix(
            "transformerClip.", self.blocks.official_state()
        )


class TemporalLstm(nn.Module):
    """`seqLSTM`: one layer over the valid frames; residual around it. The frame positions are not used."""

    def __init__(self, sizes: RetrievalSizes, state: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        # Published checkpoints carry it, so it is kept for saving.
        self.register_buffer("positions", state[POSITIONS])
        self.lstm = nn.LSTM(sizes.clip.embed, sizes.clip.embed, batch_first=True)
        self.lstm.load_state_dict(without_prefix("lstm_visual.", state))

    def forward(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
        run, _ = self.lstm(packed)
        hidden, _ = pad_packed_sequence(run, batch_first=True, total_length=frames.shape[1])
        return hidden + frames

    def official_state(self) -> State:
        """Return the weights under the names of a checkpoint."""
        return {POSITIONS: self.get_buffer("positions")} | with_prefix("lstm_visual.", self.lstm.state_dict())


Temporal = MeanPooling | TemporalTransformer | TemporalLstm


def build_temporal(sizes: RetrievalSizes, state: Mapping[str, torch.Tensor]) -> Temporal:
    """Return the temporal encoder of a checkpoint, filled from its state dict."""
    if sizes.variant == "seqTransf":
        return TemporalTransformer(sizes, state)
    return TemporalLstm(sizes, state) if sizes.variant == "seqLSTM" else MeanPooling()


def pool(frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the video features [B, D] of temporal features [B, F, D]: L2 per frame, masked mean, L2."""
    weights = mask.to(frames.dtype)[:, :, None]
    return unit((unit(frames) * weights).sum(dim=1) / weights.sum(dim=1))


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Return the vectors [..., D] divided by their L2 norms, NaN where that is zero (as published)."""
    return torch.div(vectors, torch.linalg.vector_norm(vectors, dim=-1, keepdim=True))
