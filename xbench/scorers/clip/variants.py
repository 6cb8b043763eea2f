"""The sizes of a retrieval checkpoint with CLIP's towers, as CLIP4Clip and what descends from it save it.

It carries no configuration: shapes and names tell how frame features become one video feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import (
    ClipSizes,
    Shapes,
    block_shapes,
    clip_shapes,
    count_blocks,
    shape_of,
)

Variant = Literal["seqTransf", "meanP", "seqLSTM"]
"""How frame features become a video feature: temporal transformer, masked mean, or LSTM."""

VARIANTS: tuple[Variant, ...] = get_args(Variant)
POSITIONS = "frame_position_embeddings.weight"


@dataclass(frozen=True)
class RetrievalSizes:
    """Sizes of the CLIP towers, the variant, and the numbers of words, frames and temporal layers."""

    clip: ClipSizes
    variant: Variant
    words: int
    frames: int
    temporal_layers: int
    positions: int
    """Rows of the frame position embeddings; 0 where the variant has none."""


def infer_retrieval_sizes(
    clip: ClipSizes, state: Mapping[str, torch.Tensor], source: str, *, words: int, frames: int
) -> RetrievalSizes:
    """Read the variant off a state dict with towers of the sizes `clip`.

    `source` names the file in messages. Raises ModelError when the frame positions are missing.
    """
    variant = _variant_of(state)
    return RetrievalSizes(
        clip=clip,
        variant=variant,
        words=words,
        frames=frames,
        temporal_layers=_temporal_layers_of(state, variant),
        positions=0 if variant == "meanP" else shape_of(state, POSITIONS, 2, source)[0],
    )


def retrieval_shapes(sizes: RetrievalSizes) -> Shapes:
    """Return the names and shapes of the towers' and the temporal encoder's parameters."""
    width = sizes.clip.embed
    shapes = {f"clip.{name}": shape for name, shape in clip_shapes(sizes.clip).items()}
    if sizes.variant != "meanP":
        shapes[POSITIONS] = (sizes.positions, width)
    if sizes.variant == "seqTransf":
        shapes |= block_shapes("transformerClip.", width, sizes.temporal_layers)
    if sizes.variant == "seqLSTM":
        for kind in ("ih", "hh"):
            shapes[f"lstm_visual.weight_{kind}_l0"] = (4 * width, width)
            shapes[f"lstm_visual.bias_{kind}_l0"] = (4 * width,)
    return shapes


def check_lengths(sizes: RetrievalSizes, source: str) -> None:
    """Raise ModelError for more words or frames than their encoders have positions."""
    if sizes.words > sizes.clip.context:
        raise ModelError(
            f"{source} scores {sizes.words} words, more than the {sizes.clip.context} of its text encoder."
        )
    if sizes.variant == "seqTransf" and sizes.frames > sizes.positions:
        raise ModelError(
            f"{source} scores {sizes.frames} frames, more than its {sizes.positions} frame positions."
        )


def _variant_of(state: Mapping[str, torch.Tensor]) -> Variant:
    """Tell the variant by the parameters that only it has."""
    if any(name.startswith("transformerClip.") for name in state):
        return "seqTransf"
    return "seqLSTM" if any(name.startswith("lstm_visual.") for name in state) else "meanP"


def _temporal_layers_of(state: Mapping[str, torch.Tensor], variant: Variant) -> int:
    """Return the number of layers of the temporal encoder; 0 for meanP."""
    if variant == "seqTransf":
        return count_blocks(state, "transformerClip.")
    return 1 if variant == "seqLSTM" else 0
