"""CLIP's text and vision towers: transformers' modules, built for sizes and filled from OpenAI's layout."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoder

from xbench.scorers.clip.layout import (
    blocks_from_transformers,
    blocks_to_transformers,
    clip_from_transformers,
    clip_to_transformers,
)
from xbench.scorers.clip.sizes import HEAD_WIDTH, ClipSizes
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
