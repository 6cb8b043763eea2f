"""What a scorer with CLIP's towers is given, checked against its sizes."""

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.bpe import ClipTokenizer


def checked_mask(
    name: str, frames: torch.Tensor, mask: torch.Tensor, *, side: int, most: int
) -> torch.Tensor:
    """Return the mask as bool [B, F] when the frames are [B, at most `most`, 3, side, side] and fit it.

    Raises ModelError for other shapes, a mask with gaps, and a video without any frame.
    """
    batch = tuple(frames.shape[:2])
    if frames.ndim != 5 or tuple(frames.shape[2:]) != (3, side, side) or batch[1] > most:
        wanted = f"[B, at most {most}, 3, {side}, {side}]"
        raise ModelError(f"{name} was given frames of shape {list(frames.shape)}, not {wanted}.")
    if tuple(mask.shape) != batch:
        raise ModelError(f"{name} was given a mask of shape {list(mask.shape)} for {batch} frames.")
    mask = mask.bool()
    counts = mask.sum(dim=1)
    if not torch.equal(mask, torch.arange(batch[1], device=mask.device) < counts[:, None]):
        raise ModelError(f"{name} was given a mask with gaps: padding comes after the frames.")
    if bool((counts == 0).any()):
        raise ModelError(f"{name} was given a video without any frame: leave it out.")
    return mask


def check_vocabulary(tokenizer: ClipTokenizer, rows: int, source: str) -> None:
    """Raise ModelError unless the vocabulary has one token for each row of the token embeddings."""
    if tokenizer.size != rows:
        raise ModelError(
            f"The vocabulary {tokenizer.vocabulary} has {tokenizer.size} tokens, the text encoder of "
            f"{source} {rows}. Pass the vocabulary that the model was trained with: --bpe FILE."
        )
