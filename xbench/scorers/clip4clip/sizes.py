"""The sizes of a CLIP4Clip checkpoint, which does not tell with how many words and frames it was trained."""

from collections.abc import Mapping

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import (
    ClipSizes,
    RetrievalSizes,
    check_lengths,
    check_shapes,
    infer_clip_sizes,
    infer_retrieval_sizes,
    retrieval_shapes,
)


def infer_sizes(state: Mapping[str, torch.Tensor], source: str, *, words: int, frames: int) -> RetrievalSizes:
    """Read the sizes off a state dict of the published code (`modules/modeling.py`), checked to be whole.

    Raises ModelError for another model's weights, the tight variant, and every parameter that is missing, not
    expected, or of a shape that does not fit the others.
    """
    _refuse_other_models(state, source)
    towers = infer_clip_sizes(state, source, "clip.")
    sizes = infer_retrieval_sizes(towers, state, source, words=words, frames=frames)
    check_shapes(state, retrieval_shapes(sizes), source)
    check_lengths(sizes, source)
    return sizes


def mean_pooling(clip: ClipSizes, source: str, *, words: int, frames: int) -> RetrievalSizes:
    """Return the sizes of plain CLIP weights whose frame features are averaged."""
    sizes = RetrievalSizes(clip, "meanP", words=words, frames=frames, temporal_layers=0, positions=0)
    check_lengths(sizes, source)
    return sizes


def _refuse_other_models(state: Mapping[str, torch.Tensor], source: str) -> None:
    if any(name.startswith(("cross.", "similarity_dense.")) for name in state):
        raise ModelError(
            f"{source} is CLIP4Clip's tightTransf (it has cross.*, similarity_dense.*), whose cross encoder "
            "runs once for every pair: xbench has meanP, seqLSTM and seqTransf."
        )
    if "clip.visual.conv2.weight" in state:
        raise ModelError(
            f"{source} was trained with --linear_patch 3d (it has clip.visual.conv2.weight): xbench has the "
            "2d patches, which are CLIP4Clip's default."
        )
    if "global_mat_weight" in state:
        raise ModelError(f"{source} is an X-CLIP checkpoint (it has global_mat_weight, ...): --model xclip.")
    if "visual.proj" in state or any(name.startswith(("text_model.", "vision_model.")) for name in state):
        raise ModelError(f"{source} holds plain CLIP weights: evaluate them with --model clip --clip FILE.")
