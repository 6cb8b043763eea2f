"""The two layouts of CLIP weights: OpenAI's, which X-CLIP checkpoints keep, and that of transformers.

They name the same tensors differently; attention's query, key and value are one matrix in the first and three
in the second, and the two projections are transposed.
"""

from collections.abc import Mapping

import torch

from xbench.scorers.weights import State

_QKV = ("q", "k", "v")
_LAYER_NAMES = (
    ("attn.out_proj", "self_attn.out_proj"),
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)
_NAMES = (
    ("logit_scale", "logit_scale"),
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final.weight", "text_model.final_layer_norm.weight"),
    ("ln_final.bias", "text_model.final_layer_norm.bias"),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"),
    ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
    ("visual.ln_post.weight", "vision_model.post_layernorm.weight"),
    ("visual.ln_post.bias", "vision_model.post_layernorm.bias"),
)
_TRANSPOSED = (
    ("text_projection", "text_projection.weight"),
    ("visual.proj", "visual_projection.weight"),
)
_BLOCKS = (
    ("transformer.", "text_model.encoder."),
    ("visual.transformer.", "vision_model.encoder."),
)


def clip_to_transformers(state: Mapping[str, torch.Tensor]) -> State:
    """Turn a CLIP state dict in OpenAI's layout into that of `transformers.CLIPModel`."""
    renamed = {new: state[old] for old, new in _NAMES}
    renamed |= {new: state[old].T.contiguous() for old, new in _TRANSPOSED}
    for old, new in _BLOCKS:
        renamed |= with_prefix(new, blocks_to_transformers(without_prefix(old, state)))
    return renamed


def clip_from_transformers(state: Mapping[str, torch.Tensor]) -> State:
    """The inverse of `clip_to_transformers`; buffers and what CLIP's layout does not have are left out."""
    renamed = {old: state[new] for old, new in _NAMES}
    renamed |= {old: state[new].T.contiguous() for old, new in _TRANSPOSED}
    for old, new in _BLOCKS:
        renamed |= with_prefix(old, blocks_from_transformers(without_prefix(new, state)))
    return renamed


def blocks_to_transformers(blocks: Mapping[str, torch.Tensor]) -> State:
    """Turn `resblocks.N.*` into the `layers.N.*` of `transformers`' CLIP encoder."""
    renamed: State = {}
    for name, tensor in blocks.items():
        number, rest = name.removeprefix("resblocks.").split(".", 1)
        if rest.startswith("attn.in_proj_"):
            kind = rest.removeprefix("attn.in_proj_")
            for letter, part in zip(_QKV, tensor.chunk(3), strict=True):
                renamed[f"layers.{number}.self_attn.{letter}_proj.{kind}"] = part
        else:
            renamed[f"layers.{number}.{_replaced(rest, _LAYER_NAMES)}"] = tensor
    return renamed


def blocks_from_transformers(layers: Mapping[str, torch.Tensor]) -> State:
    """The inverse of `blocks_to_transformers`."""
    back = [(new, old) for old, new in _LAYER_NAMES]
    renamed: State = {}
    for name, tensor in layers.items():
        number, rest = name.removeprefix("layers.").split(".", 1)
        if rest.startswith("self_attn.q_proj."):
            kind = rest.removeprefix("self_attn.q_proj.")
            parts = [layers[f"layers.{number}.self_attn.{letter}_proj.{kind}"] for letter in _QKV]
            renamed[f"resblocks.{number}.attn.in_proj_{kind}"] = torch.cat(parts)
        elif not rest.startswith(("self_attn.k_proj.", "self_attn.v_proj.")):
            renamed[f"resblocks.{number}.{_replaced(rest, back)}"] = tensor
    return renamed


def without_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return the entries whose name begins with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def with_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return the entries with `prefix` before their names."""
    return {prefix + name: tensor for name, tensor in state.items()}


def _replaced(name: str, pairs: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> str:
    for old, new in pairs:
        if name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name
