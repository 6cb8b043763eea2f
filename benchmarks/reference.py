"""The published scoring of X-CLIP, written out plainly: the rival that xbench's scoring is timed against.

What `eval_epoch` of the published code does for T texts and V videos: blocks of `block` texts and videos; for
every pair of blocks the temporal encoder runs again over the block's videos, everything is normalised again,
and the similarity of Ma et al. 2022 (section 3) is computed with whole four-dimensional arrays, permuted for
each product with a learned matrix and back; the block goes to the host.

The formulas are those of the published model and so is the order of its operations, because the time of this
computation is that of its passes over memory: products that appear twice in a formula are computed twice, as
there. `tests/scorers/test_published_reference.py` holds it to the golden logits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.reference_temporal import temporal
from xbench.scorers.weights import State

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

    def part(self, texts: slice, videos: slice) -> "Encoded":
        """Return some texts and some videos."""
        return Encoded(self.sentences[texts], self.words[texts], self.frames[videos], self.mask[videos])


def published_scores(encoded: Encoded, state: State, block: int) -> NDArray[np.float32]:
    """Return the logits float32 [T, V]."""
    parts = [range(0, len(items), block) for items in (encoded.sentences, encoded.frames)]
    rows = []
    for text in parts[0]:
        row = []
        for video in parts[1]:
            part = encoded.part(slice(text, text + block), slice(video, video + block))
            row.append(block_logits(part, state).cpu().numpy())
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def block_logits(part: Encoded, state: State) -> torch.Tensor:
    """Return the logits [T, V] of one block of texts and videos, the temporal encoder included."""
    mask = part.mask.float()
    videos = video_features(temporal(part.frames, mask, state), mask)
    sentences, words, frames = (normalised(each) for each in (part.sentences, part.words, part.frames))
    scale = state["clip.logit_scale"].exp()
    coarse = (sentences @ state["global_mat_weight"]) @ videos.t()
    by_word = (words @ videos.t()) * over_second(words @ videos.t(), state["word_logit_weight"])
    by_frame = sentences @ frames.permute(0, 2, 1)
    by_frame = by_frame * over_last(sentences @ frames.permute(0, 2, 1), state["frame_logit_weight"])
    fine = scale * fine_grained(words, frames, state)
    return (scale * coarse + scale * by_word.sum(dim=1) + scale * by_frame.sum(dim=-1).t() + fine) / 4


def normalised(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def video_features(frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1)
    return normalised((normalised(frames) * weights).sum(dim=1) / weights.sum(dim=1))


def fine_grained(words: torch.Tensor, frames: torch.Tensor, state: State) -> torch.Tensor:
    """Return the frame-word grain [T, V] through whole arrays [T, W, V, F]."""
    width = words.shape[-1]
    flat = (words.reshape(-1, width) @ state["local_mat_weight"]) @ frames.reshape(-1, width).t()
    pairs = flat.view(*words.shape[:2], *frames.shape[:2])
    of_frames = (over_second(pairs, state["word_mat_weight"]) * pairs).sum(dim=1)
    of_words = (over_last(pairs, state["frame_mat_weight"]) * pairs).sum(dim=-1)
    to_frames = (over_last(of_frames, state["frame_mat_weight2"]) * of_frames).sum(dim=-1)
    to_words = (over_second(of_words, state["word_mat_weight2"]) * of_words).sum(dim=1)
    return (to_frames + to_words) / 2


def over_second(similarities: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the weights of [T, W, ...] over W: the softmax, moved last, times a matrix, and moved back."""
    weights = torch.softmax(similarities / TEMPERATURE, dim=1).movedim(1, -1) @ matrix
    return weights.movedim(-1, 1)


def over_last(similarities: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the weights of [..., F] over F: the softmax times a matrix."""
    return torch.softmax(similarities / TEMPERATURE, dim=-1) @ matrix
