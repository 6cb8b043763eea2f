"""The sizes of an X-Pool checkpoint, in either of its layouts, read off its shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from xbench.errors import ModelError, UsageError
from xbench.scorers.clip.kinds import refuse_other_models
from xbench.scorers.clip.sizes import (
    ClipSizes,
    check_shapes,
    clip_from_transformers,
    clip_shapes,
    clip_to_transformers,
    infer_clip_sizes,
    with_prefix,
    without_prefix,
)
from xbench.scorers.weights import State
from xbench.scorers.xpool.pooling import pooling_shapes

FRAMES = 12
"""Frames of the released runs; no parameter depends on it."""
_TOWERS = "clip."
_COUNTERS = (
    "text_model.embeddings.position_ids",
    "vision_model.embeddings.position_ids",
)
"""Integers that transformers 4.6 saved among the weights."""


@dataclass(frozen=True)
class PoolSizes:
    """Sizes of the towers, and what no shape tells: frames and the attention's heads."""

    clip: ClipSizes
    frames: int
    heads: int
    variant: ClassVar[str] = "text-conditioned pooling"
    temporal_layers: ClassVar[int] = 0

    @property
    def words(self) -> int:
        """As many as the text encoder takes, start and end token among them."""
        return self.clip.context


def openai_layout(state: State, source: str) -> State:
    """Return a checkpoint with its towers in OpenAI's layout, which it has already or transformers'.

    Whether the training said `--huggingface` decides which; no entry but the names tells. Raises ModelError
    for parameters of transformers' layout that are missing or cannot be.
    """
    towers = without_prefix(_TOWERS, state)
    if not any(name.startswith(("text_model.", "vision_model.")) for name in towers):
        return state
    towers = {name: tensor for name, tensor in towers.items() if name not in _COUNTERS}
    try:
        converted = clip_from_transformers(towers)
        unknown = towers.keys() - clip_to_transformers(converted).keys()
    except KeyError as error:
        raise ModelError(
            f"The towers of {source} lack {error.args[0]!r}: pass a complete checkpoint of X-Pool."
        ) from error
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The towers of {source} have shapes that CLIP never has ({str(error).splitlines()[0]}): pass a "
            "checkpoint of X-Pool."
        ) from error
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(_TOWERS)}
    return rest | with_prefix(_TOWERS, converted | {name: towers[name] for name in unknown})


def infer_sizes(state: Mapping[str, torch.Tensor], source: str, *, frames: int, heads: int) -> PoolSizes:
    """Read the sizes off a state dict with OpenAI's layout, checked to be whole.

    Raises ModelError for another model's weights and for every parameter that is missing, not expected or of
    another shape, UsageError for heads that do not divide the width.
    """
    if any(name.startswith("stochastic.") for name in state):
        raise ModelError(
            f"{source} is a T-MASS checkpoint (it has stochastic.*). The published evaluation of T-MASS "
            "pools each video with the caption that is the right answer for it, so its numbers are not those "
            "of a search, and xbench does not have it. Pass a checkpoint of X-Pool."
        )
    refuse_other_models(state, source, "xpool")
    clip = infer_clip_sizes(state, source, _TOWERS)
    shapes = {f"{_TOWERS}{name}": shape for name, shape in clip_shapes(clip).items()}
    check_shapes(state, shapes | pooling_shapes(clip.embed), source)
    if heads < 1 or clip.embed % heads:
        raise UsageError(
            f"--model-args heads={heads}: the width {clip.embed} of {source} cannot be cut into so many."
            " Give its heads."
        )
    if frames < 1:
        raise UsageError(f"--model-args frames={frames}: give 1 or more.")
    return PoolSizes(clip, frames, heads)
