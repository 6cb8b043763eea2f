"""Where the similarity is computed, and by what: fused kernels on a GPU, tiles of torch operations else."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from xbench.errors import XbenchError
from xbench.progress import say
from xbench.scorers.precision import Precision, arithmetic
from xbench.scorers.upload import upload
from xbench.scorers.xclip import tiles
from xbench.scorers.xclip.aosm import Aosm

_PROVEN = 16
"""Texts and videos with which kernels are compared with tiles."""
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

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing on a CPU, where there is no other way."""
        return {} if self._device.type == "cpu" else {"similarity": "torch"}

    def __call__(
        self, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """See `Similarity`."""
        features = (upload(tensor, self._device) for tensor in (sentence, words, video, frames))
        with arithmetic(self._precision):
            return tiles.similarity(self._aosm, *features)


class FusedOrTiles:
    """Fused kernels; tiles where there are none, where they fail on this GPU or are found to be wrong."""

    def __init__(self, fused: Callable[[], Similarity], tiles: Similarity, tolerance: float) -> None:
        """fused: imports and builds. tolerance: by how much the logits of the two may differ."""
        self._tiles, self._tolerance = tiles, tolerance
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
            self._prove(*(tensor[:_PROVEN] for tensor in features))
        return self._chosen(*features)

    def _prove(self, *features: torch.Tensor) -> None:
        """Compile, and compare with tiles: kernels differ from GPU to GPU, and nobody has run them on all."""
        self._proven = True
        try:
            scores = self._chosen(*features)
        except (torch.cuda.OutOfMemoryError, XbenchError):
            raise
        except Exception as error:
            self._fall_back(f"{type(error).__name__}: {error}")
            return
        exact = self._tiles(*features)
        if not torch.allclose(scores, exact, rtol=0, atol=self._tolerance, equal_nan=True):
            self._fall_back(f"they are off by {(scores - exact).abs().max().item():.2g}")

    def _fall_back(self, why: str) -> None:
        say(f"The fused kernels are not used: {why.splitlines()[0]}. Scoring goes on without, more slowly.")
        self._chosen = self._tiles


def similarity_on(device: torch.device, aosm: Aosm, precision: Precision) -> Similarity:
    """Return the similarity of a model for a device, on which `aosm` is."""
    plain = Tiles(aosm, device, precision)
    if device.type != "cuda":
        return plain

    def fused() -> Similarity:
        from xbench.scorers.xclip.fused.similarity import Fused

        return Fused(aosm, precision)

    return FusedOrTiles(fused, plain, TOLERANCE[precision] * float(aosm.logit_scale.exp()))
