"""Where the similarity is computed, and by what: fused kernels on a GPU, tiles of torch operations else."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from xbench.errors import XbenchError
from xbench.progress import say
from xbench.scorers.device import Batches, arithmetic, lacks_memory, upload
from xbench.scorers.xclip import aosm as tiles
from xbench.scorers.xclip.aosm import Aosm
from xbench.terms import Precision

_PROVEN = 16
"""Texts and videos with which kernels are compared with a CPU's tiles."""
_VIDEOS_AT_ONCE = 1 << 14
TOLERANCE: dict[Precision, float] = {"fp32": 2e-5, "fp16": 2e-5, "tf32": 5e-3, "bf16": 5e-2}
"""By how much similarities, between -1 and 1, may differ from tiles': several times what rounding does."""


class Similarity(Protocol):
    """Logits of blocks, on one device."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a record says about how it computes, JSON values."""
        ...

    def __call__(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits float32 [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D]).

        All L2-normalised; on any device.
        """
        ...


class Tiles:
    """Tiles of torch operations."""

    def __init__(self, aosm: Aosm, device: torch.device, precision: Precision) -> None:
        """aosm: on `device`."""
        self._aosm, self._device, self._precision = aosm, device, precision
        self._batches = Batches(_VIDEOS_AT_ONCE, "videos")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing on a CPU, where there is no other way."""
        return {} if self._device.type == "cpu" else {"similarity": "torch"}

    def __call__(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """See `Similarity`."""
        with arithmetic(self._precision):
            text = upload(sentence, self._device), upload(words, self._device)

            def score(part: slice) -> torch.Tensor:
                videos = (upload(tensor[part], self._device) for tensor in (video, frames))
                return tiles.similarity(self._aosm, *text, *videos)

            parts = self._batches.each(len(video), score)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class FusedOrTiles:
    """Fused kernels; tiles where there are none, where they fail on this GPU or are found to be wrong."""

    def __init__(
        self, fused: Callable[[], Similarity], tiles: Similarity, judge: Similarity, tolerance: float
    ) -> None:
        """fused: imports and builds. judge: float32 on a CPU. tolerance: how far logits may be from its."""
        self._tiles, self._judge, self._tolerance = tiles, judge, tolerance
        self._chosen, self._proven = tiles, True
        try:
            self._chosen, self._proven = fused(), False
        except Exception as error:  # whatever triton finds wrong with this machine
            self._fall_back(f"{type(error).__name__}: {error}")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of what computes."""
        return self._chosen.settings

    def __call__(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """See `Similarity`."""
        features = sentence, words, video, frames
        if not self._proven:
            some = [tensor[:_PROVEN].cpu() for tensor in features]
            pairs = zip(some, made_up(words.shape[1], *frames.shape[1:]), strict=True)
            self._prove(*(torch.cat([given, made]) for given, made in pairs))
        return self._chosen(*features)

    def _prove(self, *features: torch.Tensor) -> None:
        """Compile, and compare: kernels differ from GPU to GPU, and nobody has run them on all."""
        try:
            scores = self._chosen(*features).cpu()
        except XbenchError:
            raise
        except Exception as error:
            if lacks_memory(error):
                raise
            self._fall_back(f"{type(error).__name__}: {error}")
            return
        exact = self._judge(*features)
        if not torch.allclose(scores, exact, rtol=0, atol=self._tolerance, equal_nan=True):
            self._fall_back(f"they are off by {(scores - exact).abs().max().item():.2g}")
        self._proven = True

    def _fall_back(self, why: str) -> None:
        say(f"The fused kernels are not used: {why.splitlines()[0]}. Scoring goes on without, more slowly.")
        self._chosen, self._proven = self._tiles, True


def made_up(words: int, frames: int, width: int) -> tuple[torch.Tensor, ...]:
    """Return texts and videos that need every kernel: with no padding, half of it, three quarters, ..."""
    generator = torch.Generator().manual_seed(0)
    lengths = [frames >> halved for halved in range(frames.bit_length())]
    count = _PROVEN * len(lengths)
    sizes = (_PROVEN, width), (_PROVEN, words, width), (count, width), (count, frames, width)
    made = [torch.nn.functional.normalize(torch.randn(size, generator=generator), dim=-1) for size in sizes]
    for videos, length in zip(torch.split(made[3], _PROVEN), lengths, strict=True):
        videos[:, length - 1 :] = videos[:, length - 1 : length].clone()
    return tuple(made)


def similarity_on(device: torch.device, aosm: Aosm, precision: Precision) -> Similarity:
    """Return the similarity of a model for a device, on which `aosm` is."""
    plain = Tiles(aosm, device, precision)
    if device.type != "cuda":
        return plain

    def fused() -> Similarity:
        from xbench.scorers.xclip.fused.similarity import Fused

        return Fused(aosm, precision)

    judge = Tiles(copy.deepcopy(aosm).cpu(), torch.device("cpu"), "fp32")
    return FusedOrTiles(fused, plain, judge, TOLERANCE[precision] * float(aosm.logit_scale.exp()))
