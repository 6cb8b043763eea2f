"""The published scoring of X-CLIP, written out plainly: the rival that xbench's scoring is timed against.

What `eval_epoch` of the published code does for T texts and V videos: blocks of `block` texts and videos; for
every pair of blocks the temporal encoder runs again over the block's videos, and the similarity of Ma et al.
2022 (section 3) is computed with whole four-dimensional arrays, permuted so that each softmax and each matrix
product runs over the last dimension.
"""

from dataclasses import dataclass

import torch

from xbench.scorers.weights import State
from xbench.scorers.xclip.temporal import Temporal

TEMPERATURE = 1e-2


@dataclass(frozen=True)
class Encoded:
    """The encoders' output: sentences [T, D], words [T, W, D], frames [V, F, D], before the temporal one.

    Nothing is normalised; mask is bool [V, F].
    """

    sentences: torch.Tensor
    words: torch.Tensor
    frames: torch.Tensor
    mask: torch.Tensor


def published_scores(encoded: Encoded, temporal: Temporal, state: State, block: int) -> torch.Tensor:
    """Return the logits float32 [T, V]."""
    rows = []
    for sentences, words in zip(encoded.sentences.split(block), encoded.words.split(block), strict=True):
        row = []
        for frames, mask in zip(encoded.frames.split(block), encoded.mask.split(block), strict=True):
            videos = video_features(temporal(frames, mask), mask)
            row.append(logits(normalised(sentences), normalised(words), videos, normalised(frames), state))
        rows.append(torch.cat(row, dim=1))
    return torch.cat(rows)


def normalised(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def video_features(frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.float().unsqueeze(-1)
    return normalised((normalised(frames) * weights).sum(dim=1) / weights.sum(dim=1))


def logits(
    sentences: torch.Tensor, words: torch.Tensor, videos: torch.Tensor, frames: torch.Tensor, state: State
) -> torch.Tensor:
    coarse = sentences @ state["global_mat_weight"] @ videos.t()
    by_word = (words @ videos.t()).permute(0, 2, 1)
    by_frame = torch.einsum("td,vfd->tvf", sentences, frames)
    grains = (
        coarse
        + attended(by_word, state["word_logit_weight"])
        + attended(by_frame, state["frame_logit_weight"])
        + fine_grained(words, frames, state)
    )
    return state["clip.logit_scale"].exp() * grains / 4


def fine_grained(words: torch.Tensor, frames: torch.Tensor, state: State) -> torch.Tensor:
    width = words.shape[-1]
    products = (words.reshape(-1, width) @ state["local_mat_weight"]) @ frames.reshape(-1, width).t()
    pairs = products.view(*words.shape[:2], *frames.shape[:2])
    over_words = attended(pairs.permute(0, 2, 3, 1), state["word_mat_weight"])
    over_frames = attended(pairs, state["frame_mat_weight"]).permute(0, 2, 1)
    to_frames = attended(over_words, state["frame_mat_weight2"])
    to_words = attended(over_frames, state["word_mat_weight2"])
    return (to_frames + to_words) / 2


def attended(similarities: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Pool the last dimension by its own softmax times a matrix."""
    return (torch.softmax(similarities / TEMPERATURE, dim=-1) @ matrix * similarities).sum(dim=-1)
