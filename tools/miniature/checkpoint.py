"""How the miniature model starts, and how it is saved."""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from miniature.pool import FRAMES, SIZE, WORDS
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.xclip.load import initial_state, random_clip
from xbench.scorers.xclip.model import XClipModel
from xbench.scorers.xclip.sizes import infer_sizes

_WIDTH, _LAYERS, _TEMPORAL_LAYERS = 128, 3, 2
_TEXT_LAYERS = 2
_TEMPERATURE = 0.07


def new_model(vocabulary: int, seed: int) -> XClipModel:
    """Return an X-CLIP of random weights: the official initialisation from a small random CLIP."""
    sizes = ClipSizes(
        embed=_WIDTH,
        image=SIZE,
        patch=16,
        vision_width=_WIDTH,
        vision_layers=_LAYERS,
        context=77,
        vocabulary=vocabulary,
        text_width=_WIDTH,
        text_layers=_TEXT_LAYERS,
    )
    clip = random_clip(sizes, seed)
    for name, tensor in clip.items():
        if name.endswith(("out_proj.weight", "c_proj.weight")):
            tensor.mul_((2 * _LAYERS) ** -0.5)
        elif "embedding" in name:
            tensor.mul_(0.1)
    clip["logit_scale"] = torch.tensor(math.log(1 / _TEMPERATURE))
    state = initial_state(clip, words=WORDS, frames=FRAMES, layers=_TEMPORAL_LAYERS, source="the random CLIP")
    return XClipModel(infer_sizes(state, "the random start"), state)


def save(model: XClipModel, path: Path) -> None:
    """Save in the published layout, with the dtypes of published checkpoints: CLIP's linear weights half."""
    state = {
        name: tensor.half() if _is_half(name) else tensor.float()
        for name, tensor in model.official_state().items()
    }
    save_file({name: tensor.detach().contiguous() for name, tensor in state.items()}, path)


def _is_half(name: str) -> bool:
    if not name.startswith("clip."):
        return False
    linear = (".attn.", ".mlp.", "conv1.weight", "visual.proj", "text_projection")
    return any(part in name for part in linear)
