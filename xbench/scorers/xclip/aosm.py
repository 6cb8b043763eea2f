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

How it is computed: what depends on a video alone is done once (`Aosm.videos`), G and M and the temperature
included, since there are fewer frames than words. Arrays of similarities are [text, word, frame, video], so
that every softmax and sum runs along a dimension whose neighbours in memory are other pairs: that is what
vectorises. A run of equal frames at a video's end, as padding gives, is one slot of a larger weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from xbench.scorers.weights import State
from xbench.scorers.xclip.pooling import Pooling, Scratch, fold

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
class Videos:
    """V videos as the similarity wants them, in units of the temperature, and how their slots are pooled."""

    coarse: torch.Tensor
    """[D, V]: G v."""
    video: torch.Tensor
    """[D, V]."""
    frames: torch.Tensor
    """[D, K V]: the frames of all videos, then the next frame of all, ..."""
    local: torch.Tensor
    """[D, K V]: M f, in the same order."""
    pool_frames: tuple[Pooling, Pooling, Pooling]
    """Over the K slots: B, Q and Q2."""

    @property
    def count(self) -> int:
        """V."""
        return self.video.shape[1]


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

    def forward(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D]), unit length.

        Holds several arrays of T x W x F x V at once: cut large blocks into tiles.
        """
        videos = self.videos(video, frames)
        return self.logits(self.of_sentences(sentence, videos) + self.of_words(words, videos))

    def grains(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> Grains:
        """Return the parts of the logits of `forward`."""
        videos = self.videos(video, frames)
        to_frames, to_words = self._fine(words, videos)
        return Grains(
            coarse=sentence @ videos.coarse * _TEMPERATURE,
            video_word=self._video_word(words, videos) * _TEMPERATURE,
            sentence_frame=self._sentence_frame(sentence, videos) * _TEMPERATURE,
            to_frames=to_frames * _TEMPERATURE,
            to_words=to_words * _TEMPERATURE,
        )

    def videos(self, video: torch.Tensor, frames: torch.Tensor, slots: int | None = None) -> Videos:
        """Do everything that a video costs: video [V, D], frames [V, F, D], L2-normalised.

        With `slots` K, frames K - 1, K, ..., F - 1 of every video must be equal; they become one.
        """
        kept = frames[:, :slots] / _TEMPERATURE
        video = video / _TEMPERATURE
        frame_major = kept.transpose(0, 1).flatten(0, 1)
        matrices = (self.frame_logit_weight, self.frame_mat_weight, self.frame_mat_weight2)
        logit, first, second = (fold(matrix, kept.shape[1]) for matrix in matrices)
        return Videos(
            coarse=self.global_mat_weight @ video.T,
            video=video.T,
            frames=frame_major.T,
            local=(frame_major @ self.local_mat_weight.T).T,
            pool_frames=(logit, first, second),
        )

    def of_sentences(self, sentence: torch.Tensor, videos: Videos) -> torch.Tensor:
        """Return the share [T, V] of sentences [T, D] in the logits: coarse and sentence-frame."""
        return sentence @ videos.coarse + self._sentence_frame(sentence, videos)

    def of_words(self, words: torch.Tensor, videos: Videos, scratch: Scratch | None = None) -> torch.Tensor:
        """Return the share [T, V] of words [T, W, D] in the logits: video-word and fine.

        With scratch memory, only without gradients.
        """
        to_frames, to_words = self._fine(words, videos, scratch)
        return self._video_word(words, videos) + (to_frames + to_words) / 2

    def logits(self, total: torch.Tensor) -> torch.Tensor:
        """Turn the sum of both shares into logits."""
        return total * (self.logit_scale.exp() * (_TEMPERATURE / 4))

    def official_state(self) -> State:
        """Return the eight matrices under the names of a checkpoint; the scale belongs to `clip.`."""
        return {name: getattr(self, name).data for name in _NAMES}

    def _sentence_frame(self, sentence: torch.Tensor, videos: Videos) -> torch.Tensor:
        similar = (sentence @ videos.frames).view(len(sentence), -1, videos.count)
        return videos.pool_frames[0](similar)

    def _video_word(self, words: torch.Tensor, videos: Videos) -> torch.Tensor:
        similar = (words.flatten(0, 1) @ videos.video).view(*words.shape[:2], videos.count)
        return Pooling(self.word_logit_weight.T)(similar)

    def _fine(
        self, words: torch.Tensor, videos: Videos, scratch: Scratch | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        _, over_frames, over_frames_after = videos.pool_frames
        texts, length = words.shape[:2]
        rows, columns = texts * length, videos.local.shape[1]
        memory, at_once = None, texts
        if scratch is not None:
            memory = scratch.fine[: rows * columns].view(rows, columns)
            at_once = scratch.weights.numel() // (length * columns)
        fine = torch.mm(words.flatten(0, 1), videos.local, out=memory).view(texts, length, columns)
        over_words = Pooling(self.word_mat_weight.T)
        by_frame, by_word = [], []
        for part in torch.split(fine, at_once):
            by_frame.append(over_words(part, scratch))
            by_word.append(over_frames(part.reshape(len(part) * length, -1, videos.count), scratch))
        return (
            over_frames_after(torch.cat(by_frame).view(texts, -1, videos.count)),
            Pooling(self.word_mat_weight2.T)(torch.cat(by_word).view(texts, length, videos.count)),
        )
