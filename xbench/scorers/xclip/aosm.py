"""The similarity of X-CLIP: four grains of contrast, pooled by attention over their own similarities (AOSM).

Ma et al. 2022, section 3.3 and 3.4; `modules/modeling_xclip.py`. With a sentence s [D], words w [W, D], a
video v [D], frames f [F, D], all of length one, `softmax` at temperature 0.01, matrices from the right:

    coarse          (s G) . v
    video-word      a = w v             sum_j a_j (softmax(a) A)_j
    sentence-frame  b = f s             sum_k b_k (softmax(b) B)_k
    fine            S = (w M) f^T
      to frames     c_k = sum_j S_jk (softmax over words of S_:k, times P)_j     sum_k c_k (softmax(c) Q2)_k
      to words      d_j = sum_k S_jk (softmax over frames of S_j:, times Q)_k    sum_j d_j (softmax(d) P2)_j
    logit           exp(logit_scale) (coarse + video-word + sentence-frame + (to frames + to words) / 2) / 4

G, M = global_mat, local_mat; A, B = word_logit, frame_logit; P, P2 = word_mat 1, 2; Q, Q2 = frame_mat 1, 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from xbench.scorers.weights import State

_TEMPERATURE = 0.01
_NAMES = (
    "global_mat_weight",
    "word_logit_weight",
    "frame_logit_weight",
    "local_mat_weight",
    "word_mat_weight",
    "frame_mat_weight",
    "word_mat_weight2",
    "frame_mat_weight2",
)


@dataclass(frozen=True)
class Grains:
    """The parts of the logit of each pair of a block, float [T, V] each, before scaling."""

    coarse: torch.Tensor
    video_word: torch.Tensor
    sentence_frame: torch.Tensor
    to_frames: torch.Tensor
    to_words: torch.Tensor

    @property
    def fine(self) -> torch.Tensor:
        """The frame-word grain: the mean of its two directions."""
        return (self.to_frames + self.to_words) / 2

    @property
    def mean(self) -> torch.Tensor:
        """The mean of the four grains."""
        return (self.coarse + self.video_word + self.sentence_frame + self.fine) / 4


class Aosm(nn.Module):
    """The eight learned matrices and the logit scale. Differentiable."""

    global_mat_weight: torch.Tensor
    word_logit_weight: torch.Tensor
    frame_logit_weight: torch.Tensor
    local_mat_weight: torch.Tensor
    word_mat_weight: torch.Tensor
    frame_mat_weight: torch.Tensor
    word_mat_weight2: torch.Tensor
    frame_mat_weight2: torch.Tensor

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the matrices and `clip.logit_scale` from an X-CLIP state dict."""
        super().__init__()
        for name in _NAMES:
            self.register_parameter(name, nn.Parameter(state[name]))
        self.logit_scale = nn.Parameter(state["clip.logit_scale"])

    def grains(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> Grains:
        """Compare texts ([T, D], [T, W, D]) with videos ([V, D], [V, F, D]), all L2-normalised.

        Holds several arrays of T x W x V x F at once: cut large blocks into tiles.
        """
        fine = torch.einsum("twd,vfd->twvf", words, frames @ self.local_mat_weight.T)
        return Grains(
            coarse=sentence @ self.global_mat_weight @ video.T,
            video_word=attend(torch.einsum("twd,vd->tvw", words, video), self.word_logit_weight),
            sentence_frame=attend(torch.einsum("td,vfd->tvf", sentence, frames), self.frame_logit_weight),
            to_frames=self._to_frames(fine),
            to_words=self._to_words(fine),
        )

    def forward(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits [T, V] of a block; arguments and memory as in `grains`."""
        return self.logit_scale.exp() * self.grains(sentence, words, video, frames).mean

    def official_state(self) -> State:
        """Return the eight matrices under the names of a checkpoint; the scale belongs to `clip.`."""
        return {name: getattr(self, name).data for name in _NAMES}

    def _to_frames(self, fine: torch.Tensor) -> torch.Tensor:
        by_frame = attend(fine.permute(0, 2, 3, 1), self.word_mat_weight)
        return attend(by_frame, self.frame_mat_weight2)

    def _to_words(self, fine: torch.Tensor) -> torch.Tensor:
        by_word = attend(fine.transpose(1, 2), self.frame_mat_weight)
        return attend(by_word, self.word_mat_weight2)


def attend(similarities: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Pool the last dimension: [..., N] weighted by its own softmax times `matrix` [N, N]."""
    weights = torch.softmax(similarities / _TEMPERATURE, dim=-1) @ matrix
    return (similarities * weights).sum(dim=-1)
