"""X-CLIP's similarity (AOSM) in tiles: attention of similarities over themselves, in reused memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import torch
from torch import nn

from xbench.scorers.pieces import filled
from xbench.scorers.weights import State


@dataclass(frozen=True)
class Scratch:
    """Memory for one tile at a time, reused: fresh megabytes for an operation can cost more than it does."""

    fine: torch.Tensor
    """Flat, with room for the similarities of all words and frames of a tile."""
    weights: torch.Tensor
    """Flat, with room for those that are pooled at once: of some texts, at least one."""
    product: torch.Tensor
    """As `weights`."""

    @classmethod
    def of(cls, tile: int, pooled: int, device: torch.device) -> "Scratch":
        """Return memory for tiles of `tile` similarities, texts x words x frames x videos."""
        return cls(*(torch.empty(size, device=device) for size in (tile, pooled, pooled)))


@dataclass(frozen=True)
class Pooling:
    """Attention of N similarities over themselves: the learned matrix, transposed, and the slots' weights."""

    matrix: torch.Tensor
    """[N, N]."""
    bias: torch.Tensor | None = None
    """[N, 1]: logarithm of how many equal entries a slot stands for; None where each stands for one."""

    def __call__(self, values: torch.Tensor, scratch: Scratch | None = None) -> torch.Tensor:
        """Pool [B, N, M], in units of the temperature, to [B, M]: weights are softmax times the matrix."""
        weights = product = None
        if scratch is not None:
            weights = scratch.weights[: values.numel()].view_as(values)
            product = scratch.product[: values.numel()].view_as(values)
        biased = values if self.bias is None else torch.add(values, self.bias, out=product)
        weights = torch.softmax(biased, dim=-2, out=weights)
        mixed = torch.bmm(self.matrix.expand(len(values), -1, -1), weights, out=product)
        return torch.mul(mixed, values, out=product).sum(dim=-2)


def fold(matrix: torch.Tensor, slots: int) -> Pooling:
    """Return the pooling over `slots` entries that equals the one over all N where the last ones are equal.

    The last slot stands for the m = N - slots + 1 equal entries. It gets the softmax's weight m times, of
    which each of their rows of the matrix gets an m-th; what their columns give is added up.
    """
    equal = len(matrix) - slots + 1
    if equal == 1:
        return Pooling(matrix.T)
    columns = torch.cat([matrix[:, : slots - 1], matrix[:, slots - 1 :].sum(dim=1, keepdim=True)], dim=1)
    folded = torch.cat([columns[: slots - 1], columns[slots - 1 :].mean(dim=0, keepdim=True)])
    bias = matrix.new_zeros(slots, 1)
    bias[-1] = math.log(equal)
    return Pooling(folded.T, bias)


_TEMPERATURE = 0.01
MATRICES = (
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
        for name in MATRICES:
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
        return {name: getattr(self, name).data for name in MATRICES}

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


_TEXTS, _VIDEOS = 32, 64
"""Texts whose sentences are compared at once, and videos of a tile."""
_TILE = {"cpu": 1 << 21, "cuda": 1 << 24}
"""Similarities of words and frames that one matrix product gives: few enough to stay in the shared cache,
many enough that reading the features for it costs little."""
_POOLED = {"cpu": 1 << 17, "cuda": 1 << 24}
"""Similarities that are pooled at once: half a megabyte, which stays in a core's own cache; on a GPU all."""
_FOLDED = (2, 4)
"""Videos that are padding in all but a half (a fourth) of their frames are scored with that many slots."""


@dataclass(frozen=True)
class _Part:
    """Up to _VIDEOS videos of a block: where they stand, and what is compared, filled up to _VIDEOS."""

    columns: torch.Tensor
    videos: Videos
    slots: int


@torch.inference_mode()
def similarity(
    aosm: Aosm, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
) -> torch.Tensor:
    """Return the logits float32 [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D]).

    All L2-normalised and on the device of `aosm`. Scratch memory: 9 MiB for each thread, at 128 words x 128
    frames 12 MiB.
    """
    scores = torch.empty(len(sentence), len(video), device=sentence.device)
    free = _scratch(words.shape[1], frames.shape[1], sentence.device)

    def prepare(group: tuple[int, torch.Tensor]) -> _Part:
        slots, columns = group
        chosen, seen = (filled(tensor[columns], _VIDEOS) for tensor in (video, frames))
        return _Part(columns, aosm.videos(chosen, seen, slots), slots)

    def score(cell: tuple[int, _Part]) -> None:
        rows, part = slice(cell[0], cell[0] + _TEXTS), cell[1]
        scratch = free.get()
        try:
            scores[rows, part.columns] = _cell(aosm, sentence[rows], words[rows], part, scratch)
        finally:
            free.put(scratch)

    with _workers(sentence.device) as run:
        parts = run(prepare, list(_groups(frames)))
        run(score, [(row, part) for part in parts for row in range(0, len(sentence), _TEXTS)])
    return scores


def _cell(
    aosm: Aosm, sentence: torch.Tensor, words: torch.Tensor, part: _Part, scratch: Scratch
) -> torch.Tensor:
    """Score up to _TEXTS texts against a part."""
    height = _height(words.shape[1], part.slots, words.device)
    total = aosm.of_sentences(filled(sentence, _TEXTS), part.videos)
    for row in range(0, len(words), height):
        tile = filled(words[row : row + height], height)
        total[row : row + height] += aosm.of_words(tile, part.videos, scratch)
    return aosm.logits(total)[: len(words), : len(part.columns)]


def _height(words: int, slots: int, device: torch.device) -> int:
    """Texts of a tile: the power of two that keeps it within _TILE, at most _TEXTS."""
    most = _TILE[device.type] // (words * slots * _VIDEOS)
    return min(_TEXTS, 1 << max(0, most.bit_length() - 1))


def _groups(frames: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (slots, columns): the videos by how many slots their frames need, at most _VIDEOS at a time."""
    length = frames.shape[1]
    needed = torch.full((len(frames),), length, device=frames.device)
    for slots in (math.ceil(length / part) for part in _FOLDED):
        needed[(frames[:, slots - 1 :] == frames[:, slots - 1 : slots]).flatten(1).all(dim=1)] = slots
    for slots in torch.unique(needed).tolist():
        for columns in torch.split((needed == slots).nonzero().flatten(), _VIDEOS):
            yield slots, columns


def _scratch(words: int, frames: int, device: torch.device) -> SimpleQueue[Scratch]:
    """Return scratch memory for the largest tile, once for each thread."""
    one = words * frames * _VIDEOS
    free: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(torch.get_num_threads() if device.type == "cpu" else 1):
        free.put(Scratch.of(max(one, _TILE[device.type]), max(one, _POOLED[device.type]), device))
    return free


@contextmanager
def _workers(device: torch.device) -> Iterator[Callable[[Callable[[Any], Any], list[Any]], list[Any]]]:
    """Yield a `map` for lists: by as many threads as torch has, each operation in one thread."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield lambda function, items: [function(item) for item in items]
        return
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    try:
        yield lambda function, items: list(pool.map(torch.inference_mode()(function), items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
