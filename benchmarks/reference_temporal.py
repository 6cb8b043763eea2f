"""The published temporal encoder, operation by operation: the part of the rival that every block runs again.

The published model permutes to [frame, video, D], writes LayerNorm as mean, variance, division, scale and
shift, gives multi-head attention one additive mask for each video and head, made anew in every layer, and
writes QuickGELU as x sigmoid(1.702 x): `modules/modeling_xclip.py`, and `module_cross.py` as CLIP4Clip has
it. Each of these passes over memory more often than a fused operation does, which is part of its time.
"""

import torch
from torch.nn.functional import linear, multi_head_attention_forward

from xbench.scorers.weights import State

_HEAD, _EPS, _MASKED = 64, 1e-12, -1e6
_LAYER = "transformerClip.resblocks.{}."


def temporal(frames: torch.Tensor, mask: torch.Tensor, state: State) -> torch.Tensor:
    """Return [V, F, D] of frame features [V, F, D] and mask float [V, F]: positions, layers, residual."""
    positions = state["frame_position_embeddings.weight"][torch.arange(frames.shape[1], device=frames.device)]
    hidden = (frames + positions.expand(len(frames), -1, -1)).permute(1, 0, 2)
    bias = ((1.0 - mask.unsqueeze(1)) * _MASKED).expand(-1, mask.shape[1], -1)
    layer = 0
    while f"{_LAYER.format(layer)}ln_1.weight" in state:
        hidden = _block(hidden, bias, state, _LAYER.format(layer))
        layer += 1
    return hidden.permute(1, 0, 2) + frames


def _block(hidden: torch.Tensor, bias: torch.Tensor, state: State, prefix: str) -> torch.Tensor:
    normed = _layer_norm(hidden, state, prefix + "ln_1")
    hidden = hidden + _attention(normed, bias, state, prefix + "attn.")
    wide = _linear(_layer_norm(hidden, state, prefix + "ln_2"), state, prefix + "mlp.c_fc")
    return hidden + _linear(wide * torch.sigmoid(1.702 * wide), state, prefix + "mlp.c_proj")


def _attention(hidden: torch.Tensor, bias: torch.Tensor, state: State, prefix: str) -> torch.Tensor:
    width = hidden.shape[-1]
    heads = width // _HEAD
    attended, _ = multi_head_attention_forward(
        *(hidden, hidden, hidden, width, heads),
        *(state[prefix + "in_proj_weight"], state[prefix + "in_proj_bias"]),
        *(None, None, False, 0.0),
        *(state[prefix + "out_proj.weight"], state[prefix + "out_proj.bias"]),
        training=False,
        need_weights=False,
        attn_mask=bias.repeat_interleave(heads, dim=0),
    )
    return attended


def _layer_norm(hidden: torch.Tensor, state: State, name: str) -> torch.Tensor:
    mean = hidden.mean(-1, keepdim=True)
    variance = (hidden - mean).pow(2).mean(-1, keepdim=True)
    scaled = (hidden - mean) / torch.sqrt(variance + _EPS)
    return state[name + ".weight"] * scaled + state[name + ".bias"]


def _linear(hidden: torch.Tensor, state: State, name: str) -> torch.Tensor:
    return linear(hidden, state[name + ".weight"], state[name + ".bias"])
