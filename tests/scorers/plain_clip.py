"""CLIP and CLIP4Clip's video side spelled out on a state dict, one item at a time: the scorers' oracle."""

import torch

State = dict[str, torch.Tensor]


def text_feature(state: State, tokens: torch.Tensor, *, gelu: bool = False, head: int = 64) -> torch.Tensor:
    """Encode token ids [W] to [D] at the first highest id, not normalised."""
    hidden = state["token_embedding.weight"][tokens] + state["positional_embedding"][: len(tokens)]
    causal = torch.full((len(tokens), len(tokens)), -torch.inf).triu(1)
    hidden = blocks(state, "transformer.", hidden, causal, gelu=gelu, head=head)
    return norm(state, "ln_final", hidden)[tokens.argmax()] @ state["text_projection"]


def image_feature(state: State, pixels: torch.Tensor, *, gelu: bool = False, head: int = 64) -> torch.Tensor:
    """Encode normalised pixels [3, H, W] to [D], not normalised."""
    patches = torch.conv2d(
        pixels[None], state["visual.conv1.weight"], stride=state["visual.conv1.weight"].shape[-1]
    )
    sequence = torch.cat([state["visual.class_embedding"][None], patches[0].flatten(1).T])
    hidden = norm(state, "visual.ln_pre", sequence + state["visual.positional_embedding"])
    hidden = blocks(state, "visual.transformer.", hidden, torch.zeros(()), gelu=gelu, head=head)
    return norm(state, "visual.ln_post", hidden[0]) @ state["visual.proj"]


def video_feature(state: State, frames: torch.Tensor, variant: str) -> torch.Tensor:
    """Turn the features [F, D] of a video's own frames into [D], L2-normalised (CLIP4Clip, section 3.3)."""
    temporal = frames
    if variant == "seqTransf":
        hidden = frames + state["frame_position_embeddings.weight"][: len(frames)]
        temporal = frames + blocks(state, "transformerClip.", hidden, torch.zeros(()), eps=1e-12)
    if variant == "seqLSTM":
        lstm = torch.nn.LSTM(frames.shape[1], frames.shape[1], batch_first=True)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        lstm.load_state_dict({name: state[f"lstm_visual.{name}"] for name in names})
        temporal = frames + lstm(frames[None])[0][0]
    return unit(unit(temporal).mean(dim=0))


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def norm(state: State, name: str, hidden: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    return torch.layer_norm(hidden, hidden.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def blocks(
    state: State,
    prefix: str,
    hidden: torch.Tensor,
    bias: torch.Tensor,
    *,
    gelu: bool = False,
    head: int = 64,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Run the residual attention blocks under `prefix` over [L, width]; bias: for attention's logits."""
    count = len(
        {name.split(".resblocks.")[1].split(".")[0] for name in state if name.startswith(f"{prefix}res")}
    )
    for number in range(count):
        part = {
            name.removeprefix(f"{prefix}resblocks.{number}."): tensor
            for name, tensor in state.items()
            if name.startswith(f"{prefix}resblocks.{number}.")
        }
        hidden = hidden + attention(part, norm(part, "ln_1", hidden, eps), bias, head)
        wide = norm(part, "ln_2", hidden, eps) @ part["mlp.c_fc.weight"].T + part["mlp.c_fc.bias"]
        active = torch.nn.functional.gelu(wide) if gelu else wide * torch.sigmoid(1.702 * wide)
        hidden = hidden + active @ part["mlp.c_proj.weight"].T + part["mlp.c_proj.bias"]
    return hidden


def attention(part: State, hidden: torch.Tensor, bias: torch.Tensor, head: int) -> torch.Tensor:
    width = hidden.shape[-1]
    query, key, value = (hidden @ part["attn.in_proj_weight"].T + part["attn.in_proj_bias"]).split(
        width, dim=-1
    )
    mixed = []
    for start in range(0, width, head):
        own = slice(start, start + head)
        weights = torch.softmax(query[:, own] @ key[:, own].T / head**0.5 + bias, dim=-1)
        mixed.append(weights @ value[:, own])
    return torch.cat(mixed, dim=-1) @ part["attn.out_proj.weight"].T + part["attn.out_proj.bias"]
