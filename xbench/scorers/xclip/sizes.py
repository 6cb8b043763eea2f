"""The sizes of an X-CLIP checkpoint, which carries no configuration: the shapes tell all of it."""

from collections.abc import Mapping

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.kinds import refuse_other_models
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

_START_FROM_CLIP = (
    "to start from CLIP as the official initialisation does, use --model xclip-zeroshot --clip FILE; to "
    "evaluate them as they are, --model clip --clip FILE."
)


def infer_sizes(state: Mapping[str, torch.Tensor], source: str) -> RetrievalSizes:
    """Read all sizes off a state dict and check that it is a complete X-CLIP one.

    `source` names the file in messages. Raises ModelError for another model's weights and for every parameter
    that is missing, not expected, or of a shape that does not fit the others.
    """
    if any(name.startswith(("cross.", "similarity_dense.")) for name in state):
        raise ModelError(
            f"{source} has a cross encoder (cross.*, similarity_dense.*), which X-CLIP's similarity never "
            "uses: it was trained without --loose_type, as CLIP4Clip's tightTransf is. Try --model clip4clip."
        )
    refuse_other_models(state, source, "xclip", plain=_START_FROM_CLIP)
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
