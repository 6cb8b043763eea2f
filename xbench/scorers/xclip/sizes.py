"""The sizes of an X-CLIP checkpoint, which carries no configuration: the shapes tell all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import (
    ClipSizes,
    Shapes,
    block_shapes,
    check_shapes,
    clip_shapes,
    count_blocks,
    infer_clip_sizes,
    shape_of,
)

Variant = Literal["seqTransf", "meanP", "seqLSTM"]
"""How frame features become a video feature: temporal transformer, masked mean, or LSTM."""

VARIANTS: tuple[Variant, ...] = get_args(Variant)
POSITIONS = "frame_position_embeddings.weight"


@dataclass(frozen=True)
class XClipSizes:
    """Sizes of the CLIP towers, the variant, and the numbers of words, frames and temporal layers."""

    clip: ClipSizes
    variant: Variant
    words: int
    frames: int
    temporal_layers: int
    positions: int
    """Rows of the frame position embeddings; 0 where the variant has none."""


def infer_sizes(state: Mapping[str, torch.Tensor], source: str) -> XClipSizes:
    """Read all sizes off a state dict and check that it is a complete X-CLIP one.

    `source` names the file in messages. Raises ModelError for another model's weights and for every parameter
    that is missing, not expected, or of a shape that does not fit the others.
    """
    _refuse_other_models(state, source)
    variant = variant_of(state)
    sizes = XClipSizes(
        clip=infer_clip_sizes(state, source, "clip."),
        variant=variant,
        words=shape_of(state, "word_logit_weight", 2, source)[0],
        frames=shape_of(state, "frame_logit_weight", 2, source)[0],
        temporal_layers=temporal_layers_of(state, variant),
        positions=0 if variant == "meanP" else shape_of(state, POSITIONS, 2, source)[0],
    )
    check_shapes(state, xclip_shapes(sizes), source)
    check_lengths(sizes, source)
    return sizes


def xclip_shapes(sizes: XClipSizes) -> Shapes:
    """Return the names and shapes of all parameters of an X-CLIP checkpoint."""
    width = sizes.clip.embed
    shapes = {f"clip.{name}": shape for name, shape in clip_shapes(sizes.clip).items()}
    shapes |= matrix_shapes(width, sizes.words, sizes.frames)
    if sizes.variant != "meanP":
        shapes[POSITIONS] = (sizes.positions, width)
    if sizes.variant == "seqTransf":
        shapes |= block_shapes("transformerClip.", width, sizes.temporal_layers)
    if sizes.variant == "seqLSTM":
        for kind in ("ih", "hh"):
            shapes[f"lstm_visual.weight_{kind}_l0"] = (4 * width, width)
            shapes[f"lstm_visual.bias_{kind}_l0"] = (4 * width,)
    return shapes


def matrix_shapes(width: int, words: int, frames: int) -> Shapes:
    """Return the names and shapes of the eight matrices of the similarity."""
    sides = {"global_mat": width, "local_mat": width, "word_logit": words, "frame_logit": frames}
    sides |= {"word_mat": words, "frame_mat": frames}
    shapes: Shapes = {f"{name}_weight": (side, side) for name, side in sides.items()}
    return shapes | {"word_mat_weight2": (words, words), "frame_mat_weight2": (frames, frames)}


def variant_of(state: Mapping[str, torch.Tensor]) -> Variant:
    """Tell the variant by the parameters that only it has."""
    if any(name.startswith("transformerClip.") for name in state):
        return "seqTransf"
    return "seqLSTM" if any(name.startswith("lstm_visual.") for name in state) else "meanP"


def temporal_layers_of(state: Mapping[str, torch.Tensor], variant: Variant) -> int:
    """Return the number of layers of the temporal encoder; 0 for meanP."""
    if variant == "seqTransf":
        return count_blocks(state, "transformerClip.")
    return 1 if variant == "seqLSTM" else 0


def check_lengths(sizes: XClipSizes, source: str) -> None:
    """Raise ModelError for more words or frames than their encoders have positions."""
    if sizes.words > sizes.clip.context:
        raise ModelError(
            f"{source} scores {sizes.words} words, more than the {sizes.clip.context} of its text encoder."
        )
    if sizes.variant == "seqTransf" and sizes.frames > sizes.positions:
        raise ModelError(
            f"{source} scores {sizes.frames} frames, more than its {sizes.positions} frame positions."
        )


def _refuse_other_models(state: Mapping[str, torch.Tensor], source: str) -> None:
    names = list(state)
    if any(name.startswith(("mit.", "prompts_")) or ".message_" in name for name in names):
        raise ModelError(
            f"{source} is Microsoft's X-CLIP, an action-recognition model of the same name. xbench's `xclip` "
            "is the retrieval model of Ma et al. 2022 (arXiv:2207.07285); pass a checkpoint of that one."
        )
    if "visual.proj" in state or any(name.startswith(("text_model.", "vision_model.")) for name in names):
        raise ModelError(
            f"{source} holds plain CLIP weights, not an X-CLIP checkpoint. To start from CLIP as the "
            "official initialisation does, use --model xclip-zeroshot --clip FILE."
        )
    if "clip.visual.proj" in state and not any(name in state for name in matrix_shapes(1, 1, 1)):
        raise ModelError(
            f"{source} lacks all eight matrices of X-CLIP's similarity (global_mat_weight, ...): it looks "
            "like a CLIP4Clip checkpoint, which shares X-CLIP's code base."
        )
