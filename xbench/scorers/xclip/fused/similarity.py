"""Blocks of texts and videos through the kernels."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton

from xbench.scorers.device import Batches
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.fused.calls import add_grain, fine
from xbench.scorers.xclip.fused.kept import Kept
from xbench.scorers.xclip.fused.parts import PRODUCTS, mixing, padded_length, parts_of
from xbench.scorers.xclip.fused.prepare import Texts, Videos, prepare_texts, prepare_videos
from xbench.scorers.xclip.fused.tuning import FINE, NoKernelError, Tile, fastest, refuse_old, seconds
from xbench.terms import Precision
from xbench.version import __version__

_MOST = 128
"""Words and frames: a program holds all similarities of a pair."""
_VIDEOS_AT_ONCE = 1 << 14
_KEPT = 2 << 30
"""Bytes of features: enough for the largest benchmark's; on the GPU up to twice as many."""
_MEASURED = 256, 128
"""Texts and videos with which tiles are compared: they fill a large GPU several times."""


class Fused:
    """The similarity by Triton's kernels: on a CUDA device, or on the CPU by Triton's interpreter."""

    def __init__(self, aosm: Aosm, precision: Precision) -> None:
        """aosm: on the device that computes. Raises NoKernelError for sizes and GPUs that do not suit."""
        matrices = aosm.word_mat_weight, aosm.frame_mat_weight, aosm.local_mat_weight
        self._sizes = _checked(*(len(matrix) for matrix in matrices))
        self._aosm, self._products = aosm, PRODUCTS[precision]
        self._device = aosm.local_mat_weight.device
        if self._device.type == "cuda":
            name = torch.cuda.get_device_name(self._device)
            refuse_old(torch.cuda.get_device_capability(self._device), name)
        self._scale = float(aosm.logit_scale.exp()) / 4
        self._matrices: dict[tuple[str, int], tuple[torch.Tensor, torch.Tensor]] = {}
        self._one = mixing([torch.ones(1, 1, device=self._device)], 1, padded_length(1), self._products)[0]
        self._tile: Tile | None = None
        self._kept = Kept(_memory_to_keep(self._device))
        self._batches = Batches(_VIDEOS_AT_ONCE, "videos", release=self._kept.clear)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The products, Triton's version and, once it is chosen, the tile: each can change a last bit."""
        how = f"fused, {self._products}, triton {triton.__version__}"
        return {"similarity": how} | ({"similarity_tile": str(self._tile)} if self._tile else {})

    @torch.inference_mode()
    def __call__(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits float32 [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D]).

        All L2-normalised; on the CPU or the device. What is made of them is kept while memory lasts. Raises
        NoKernelError when no kernel works on this GPU.
        """
        with _on(self._device):
            parts = self._batches.each(
                len(video), lambda part: self._scores((sentence, words), (video[part], frames[part]))
            )
        return torch.cat(parts, dim=1)

    def _scores(
        self, text: tuple[torch.Tensor, torch.Tensor], video: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        texts = self._kept.get(text, lambda: prepare_texts(*text, self._device, self._products))
        groups = self._kept.get(video, lambda: prepare_videos(self._aosm, *video, self._products))
        scores = torch.empty(len(text[0]), len(video[0]), device=self._device)
        for group in groups:
            scores[:, group.columns] = self._logits(texts, group)
        return scores

    def _logits(self, texts: Texts, videos: Videos) -> torch.Tensor:
        """Return the logits [T, V] of videos with as many slots."""
        words, frames, _ = self._sizes
        last = float(frames - videos.slots + 1)
        word_logit, word_mats = self._mixing("word", words)
        frame_logit, frame_mats = self._mixing("frame", videos.slots)
        total = torch.zeros(texts.words.data.shape[1], len(videos.columns), device=self._device)
        if not total.numel():
            return total
        add_grain(total, videos.coarse, texts.sentence, self._one, 1.0, by_right=True)
        add_grain(total, videos.frames, texts.sentence, frame_logit, last, by_right=True)
        add_grain(total, texts.words, videos.video, word_logit, 1.0, by_right=False)
        scores = torch.full_like(total, torch.nan)  # what no program writes must not look like a score
        self._tile = self._tile or self._fastest()
        mats = word_mats, frame_mats
        fine(scores, total, texts.words, videos.local, mats, last=last, scale=self._scale, tile=self._tile)
        return scores

    def _mixing(self, which: str, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logit matrix and the pair of the fine grain, of words or of so many slots of frames."""
        if (which, length) not in self._matrices:
            names = (f"{which}_logit_weight", f"{which}_mat_weight", f"{which}_mat_weight2")
            matrices = [getattr(self._aosm, name).detach() for name in names]
            made = mixing(matrices, length, padded_length(length), self._products)
            self._matrices[which, length] = made[0], made[1:]
        return self._matrices[which, length]

    def _fastest(self) -> Tile:
        """One for a model and a GPU, so that it does not depend on which videos come first."""
        if self._device.type != "cuda":
            return FINE[0]
        words, frames, width = self._sizes
        where = f"{torch.cuda.get_device_name(self._device)}, triton {triton.__version__}"
        what = f"{words} x {frames} x {width}, {self._products}, xbench {__version__}"
        return fastest(f"{where}, {what}", FINE, self._seconds)

    def _seconds(self, tile: Tile) -> float:
        words, frames, width = self._sizes
        texts, videos = (
            parts_of(torch.randn(count, length, width, device=self._device) / width**0.5, self._products)
            for count, length in zip(_MEASURED, (words, frames), strict=True)
        )
        mats = self._mixing("word", words)[1], self._mixing("frame", frames)[1]
        total = torch.zeros(_MEASURED, device=self._device)
        scores = torch.empty_like(total)
        return seconds(lambda: fine(scores, total, texts, videos, mats, last=1.0, scale=1.0, tile=tile))


def _checked(words: int, frames: int, width: int) -> tuple[int, int, int]:
    if max(words, frames) > _MOST or width % 16:
        raise NoKernelError(f"{words} words x {frames} frames of {width} numbers do not fit a program")
    return words, frames, width


def _memory_to_keep(device: torch.device) -> int:
    """Bytes of features held on the CPU; what is made of them on the GPU is as large, of videos twice."""
    quarter = torch.cuda.mem_get_info(device)[1] // 4 if device.type == "cuda" else _KEPT
    return min(_KEPT, quarter)


def _on(device: torch.device) -> AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
