"""The official initialisation: an X-CLIP state dict from CLIP weights, before any training."""

from collections.abc import Mapping

import torch

from xbench.errors import ModelError, UsageError
from xbench.scorers.clip.layout import with_prefix
from xbench.scorers.clip.sizes import ClipSizes, check_shapes, clip_shapes, infer_clip_sizes
from xbench.scorers.clip.variants import POSITIONS
from xbench.scorers.weights import State
from xbench.scorers.xclip.sizes import matrix_shapes

TEMPORAL_LAYERS = 4
"""Temporal layers of the published scripts."""


def initial_state(
    clip: Mapping[str, torch.Tensor], *, words: int, frames: int, layers: int = TEMPORAL_LAYERS, source: str
) -> State:
    """Return a seqTransf state dict that starts from CLIP weights in OpenAI's layout.

    The temporal transformer is CLIP's first `layers` text layers, the frame positions are its text positions,
    the eight matrices are the identity (`from_pretrained` in `modules/modeling_xclip.py`).

    Raises ModelError when the weights, named `source`, are not CLIP's, UsageError when the sizes do not fit.
    """
    sizes = infer_clip_sizes(clip, source)
    check_shapes(clip, clip_shapes(sizes), source)
    if sizes.text_width != sizes.embed:
        raise ModelError(
            f"{source} cannot start X-CLIP: its text width {sizes.text_width} is not its embedding's "
            f"{sizes.embed}, so its text layers do not fit frame features."
        )
    if not 0 < layers <= sizes.text_layers:
        raise UsageError(
            f"{layers} temporal layers: {source} has {sizes.text_layers} text layers to start from."
        )
    start = {POSITIONS: clip["positional_embedding"].clone()}
    for name, tensor in clip.items():
        if name.startswith("transformer.resblocks.") and int(name.split(".")[2]) < layers:
            start[f"transformerClip.{name.removeprefix('transformer.')}"] = tensor.clone()
    identities = {
        name: torch.eye(side) for name, (side, _) in matrix_shapes(sizes.embed, words, frames).items()
    }
    return with_prefix("clip.", clip) | start | identities


def random_clip(sizes: ClipSizes, seed: int = 0) -> State:
    """Return random CLIP weights in OpenAI's layout, scaled so that activations neither vanish nor grow."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in clip_shapes(sizes).items():
        if name == "logit_scale":
            state[name] = torch.tensor(1 / 0.01).log()
        elif ".ln_" in f".{name}":
            state[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        elif len(shape) == 1:
            state[name] = torch.zeros(shape)
        else:
            state[name] = torch.randn(shape, generator=generator) * _scale(name, shape)
    state["visual.class_embedding"] = torch.randn(sizes.vision_width, generator=generator)
    return state


def _scale(name: str, shape: tuple[int, ...]) -> float:
    if "embedding" in name:
        return 0.3
    fan_in = shape[0] if name.endswith("proj") or name == "text_projection" else torch.Size(shape[1:]).numel()
    return float(fan_in**-0.5)
