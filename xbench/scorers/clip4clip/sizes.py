"""The sizes of a checkpoint of CLIP4Clip's tight type, read off its shapes."""

from collections.abc import Mapping

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import (
    ClipSizes,
    RetrievalSizes,
    Shapes,
    block_shapes,
    check_shapes,
    clip_shapes,
    count_blocks,
    shape_of,
)

TIGHT = ("cross.", "similarity_dense.")
"""What the names of parameters begin with that only the tight type has."""
CROSS_POSITIONS = "cross.embeddings.position_embeddings.weight"
CROSS_BLOCKS = "cross.transformer."


def infer_tight_sizes(
    towers: ClipSizes, state: Mapping[str, torch.Tensor], source: str, *, words: int, frames: int
) -> RetrievalSizes:
    """Read the sizes of the tight type off a state dict, checked to be whole.

    Raises ModelError for every parameter that is missing, not expected, or of another shape, and for more
    frames than there are positions behind the text's.
    """
    sizes = RetrievalSizes(
        towers,
        "tightTransf",
        words=words,
        frames=frames,
        temporal_layers=count_blocks(state, CROSS_BLOCKS),
        positions=shape_of(state, CROSS_POSITIONS, 2, source)[0],
    )
    check_shapes(state, tight_shapes(sizes), source)
    if words > towers.context or frames >= sizes.positions:
        raise ModelError(
            f"{source} has {towers.context} positions for words, and {sizes.positions - 1} for frames behind "
            f"the text in its cross encoder: {words} words and {frames} frames are too many, ask for fewer."
        )
    return sizes


def tight_shapes(sizes: RetrievalSizes) -> Shapes:
    """Return the names and shapes of all parameters of the tight type."""
    width = sizes.clip.embed
    shapes = {f"clip.{name}": shape for name, shape in clip_shapes(sizes.clip).items()}
    shapes |= {CROSS_POSITIONS: (sizes.positions, width)}
    shapes |= block_shapes(CROSS_BLOCKS, width, sizes.temporal_layers)
    for name, rows in (("cross.pooler.dense", width), ("similarity_dense", 1)):
        shapes |= {f"{name}.weight": (rows, width), f"{name}.bias": (rows,)}
    return shapes | {f"cross.pooler.ln_pool.{part}": (width,) for part in ("weight", "bias")}
