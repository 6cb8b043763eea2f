"""Where the similarity is computed, and by what."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from xbench.scorers.upload import upload
from xbench.scorers.xclip import tiles
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.precision import Precision, arithmetic


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


def similarity_on(device: torch.device, aosm: Aosm, precision: Precision) -> Similarity:
    """Return the similarity of a model for a device, on which `aosm` is."""
    return Tiles(aosm, device, precision)
