"""CLIP's text and vision towers, and the temporal encoders over frames, filled from OpenAI's layout."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoder

from xbench.scorers.clip.sizes import (
    HEAD_WIDTH,
    POSITIONS,
    ClipSizes,
    RetrievalSizes,
    blocks_from_transformers,
    blocks_to_transformers,
    clip_from_transformers,
    clip_to_transformers,
    with_prefix,
    without_prefix,
)
from xbench.scorers.clip.style import OPENAI, Style
from xbench.scorers.weights import State

_EPS = 1e-5
"""LayerNorm's epsilon in CLIP; the temporal transformer of X-CLIP has another."""


class ClipTowers(nn.Module):
    """CLIP's two encoders, each with its projection. Differentiable; nothing is normalised."""

    def __init__(self, sizes: ClipSizes, state: Mapping[str, torch.Tensor], style: Style = OPENAI) -> None:
        """Fill from a complete state dict in OpenAI's layout, whose tensors become the parameters."""
        super().__init__()
        with torch.device("meta"):
            self.clip = CLIPModel(_clip_config(sizes, style))
        self.clip.load_state_dict(clip_to_transformers(state), assign=True)
        for tower in (self.clip.text_model, self.clip.vision_model):
            # A buffer that no state dict carries.
            positions = tower.embeddings.position_ids.shape[-1]
            tower.embeddings.position_ids = torch.arange(positions)[None]

    def words(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode int64 [B, W] to [B, W, D]: every position through `ln_final` and `text_projection`."""
        hidden = self.clip.text_model(input_ids=tokens).last_hidden_state
        projected: torch.Tensor = self.clip.text_projection(hidden)
        return projected

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode normalised [N, 3, H, W] to [N, D]: the class position through `ln_post` and `proj`."""
        pooled = self.clip.vision_model(pixel_values=pixels).pooler_output
        projected: torch.Tensor = self.clip.visual_projection(pooled)
        return projected

    def official_state(self) -> State:
        """Return the weights in OpenAI's layout, as X-CLIP checkpoints hold them under `clip.`."""
        return clip_from_transformers(self.clip.state_dict())


class AttentionBlocks(nn.Module):
    """CLIP's residual attention blocks outside CLIP, e.g. over time. QuickGELU, heads width // 64."""

    def __init__(self, width: int, layers: int, eps: float, state: Mapping[str, torch.Tensor]) -> None:
        """Fill from `resblocks.N.*`, complete."""
        super().__init__()
        with torch.device("meta"):
            self.encoder = CLIPEncoder(_blocks_config(width, layers, eps))
        self.encoder.load_state_dict(blocks_to_transformers(state), assign=True)

    def forward(self, sequence: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Map [B, L, width] to the same; `bias` [B, 1, L, L] is added to the attention's logits."""
        output: torch.Tensor = self.encoder(inputs_embeds=sequence, attention_mask=bias).last_hidden_state
        return output

    def official_state(self) -> State:
        """Return the weights as `resblocks.N.*`."""
        return blocks_from_transformers(self.encoder.state_dict())


def in_half(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert a module to `dtype` as the published GPU evaluation does: LayerNorm computes in float32."""
    module.to(dtype)
    for norm in (part for part in module.modules() if isinstance(part, nn.LayerNorm)):
        norm.float()
        # A CPU's kernel computes in float32 whatever it is given, without a copy.
        norm.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),) if inputs[0].is_cuda else None)
        norm.register_forward_hook(lambda _, __, output: output.to(dtype))


def _clip_config(sizes: ClipSizes, style: Style) -> CLIPConfig:
    text = _tower(sizes.text_width, sizes.text_layers, _EPS, style.text_head) | {
        "hidden_act": style.activation,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.context,
        "bos_token_id": sizes.vocabulary - 2,
        "eos_token_id": sizes.vocabulary - 1,
    }
    vision = _tower(sizes.vision_width, sizes.vision_layers, _EPS, style.vision_head) | {
        "hidden_act": style.activation,
        "image_size": sizes.image,
        "patch_size": sizes.patch,
    }
    return CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=sizes.embed, attn_implementation="sdpa"
    )


def _blocks_config(width: int, layers: int, eps: float) -> CLIPTextConfig:
    return CLIPTextConfig(**_tower(width, layers, eps), attn_implementation="sdpa")


def _tower(width: int, layers: int, eps: float, head: int = HEAD_WIDTH) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // head,
        "layer_norm_eps": eps,
        "hidden_act": "quick_gelu",
        "attention_dropout": 0.0,
    }


_TEMPORAL_EPS = 1e-12
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
            sizes.clip.embed, sizes.temporal_layers, _TEMPORAL_EPS, without_prefix("transformerClip.", state)
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
