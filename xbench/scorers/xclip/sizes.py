"""The sizes of an X-CLIP checkpoint, which carries no configuration: the shapes tell all of it."""

from collections.abc import Mapping

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import (
    RetrievalSizes,
    Shapes,
    check_lengths,
    check_shapes,
    infer_clip_sizes,
    infer_retrieval_sizes,
    retrieval_shapes,
    shape_of,
)


def infer_sizes(state: Mapping[str, torch.Tensor], source: str) -> RetrievalSizes:
    """Read all sizes off a state dict and check that it is a complete X-CLIP one.

    `source` names the file in messages. Raises ModelError for another model's weights and for every parameter
    that is missing, not expected, or of a shape that does not fit the others.
    """
    _refuse_other_models(state, source)
    towers = infer_clip_sizes(state, source, "clip.")
    words, frames = (shape_of(state, f"{side}_logit_weight", 2, source)[0] for side in ("word", "frame"))
    sizes = infer_retrieval_sizes(towers, state, source, words=words, frames=frames)
    matrices = matrix_shapes(sizes.clip.embed, sizes.words, sizes.frames)
    check_shapes(state, retrieval_shapes(sizes) | matrices, source)
    check_lengths(sizes, source)
    return sizes


def matrix_shapes(width: int, words: int, frames: int) -> Shapes:
    """Return the names and shapes of the eight matrices of the similarity."""
    sides = {"global_mat": width, "local_mat": width, "word_logit": words, "frame_logit": frames}
    sides |= {"word_mat": words, "frame_mat": frames}
    shapes: Shapes = {f"{name}_weight": (side, side) for name, side in sides.items()}
    return shapes | {"word_mat_weight2": (words, words), "frame_mat_weight2": (frames, frames)}


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
    if any(name.startswith(("cross.", "similarity_dense.")) for name in names):
        raise ModelError(
            f"{source} has a cross encoder (cross.*, similarity_dense.*), which X-CLIP's similarity never "
            "uses: it was trained without --loose_type, as CLIP4Clip's tightTransf is. Try --model clip4clip."
        )
    if "clip.visual.proj" in state and not any(name in state for name in matrix_shapes(1, 1, 1)):
        raise ModelError(
            f"{source} lacks all eight matrices of X-CLIP's similarity (global_mat_weight, ...): it looks "
            "like a CLIP4Clip checkpoint, which shares X-CLIP's code base: try --model clip4clip."
        )
