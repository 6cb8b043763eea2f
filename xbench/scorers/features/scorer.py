"""Precomputed features as half of the scorer contract: nothing to encode, only pairs to score."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.errors import DataError, UsageError
from xbench.scorers.base import Features, ScorerInfo, knows_itself
from xbench.scorers.device import arithmetic
from xbench.scorers.features.file import FeatureFile, read_features

Similarity = Literal["cosine", "dot", "maxsim", "maxsim-dot"]
"""cosine, dot: of two vectors. maxsim: the sum over a text's vectors of the largest cosine with any of the
video's (Khattab and Zaharia 2020, ColBERT, equation 3); maxsim-dot: the same with dot products."""

_TILE = 1 << 22
_VIDEOS = 32
_SINGLE = (512, 256)
"""The tile of single vectors: a matrix product each, and strips of 100,000 texts are small."""


class PrecomputedFeatures:
    """Two files of features and how to compare them."""

    def __init__(
        self,
        texts: FeatureFile,
        videos: FeatureFile,
        similarity: Similarity | None = None,
        *,
        name: str = "features",
        device: str = "cpu",
    ) -> None:
        """similarity: None for cosine, or maxsim where there are several vectors for an item.

        Raises UsageError for a similarity that the files do not allow, DataError for files that do not go
        together.
        """
        several = texts.several or videos.several
        similarity = similarity or ("maxsim" if several else "cosine")
        if similarity not in get_args(Similarity):
            raise UsageError(
                f"There is no similarity {similarity!r}. Known: {', '.join(get_args(Similarity))}."
            )
        if several and not similarity.startswith("maxsim"):
            raise UsageError(f"{similarity} is for one vector an item, but these have several: use maxsim.")
        if texts.vectors.shape[-1] != videos.vectors.shape[-1]:
            raise DataError(
                f"{texts.path} has {texts.vectors.shape[-1]} dimensions, {videos.path} "
                f"{videos.vectors.shape[-1]}: give two files of features of one model."
            )
        self.name, self.texts, self.videos = name, texts, videos
        self._similarity: Similarity = similarity
        self._device = torch.device(device)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The files by content, and how they are compared."""
        return {
            "scorer": "features",
            "texts": self.texts.sha256,
            "videos": self.videos.sha256,
            "similarity": self._similarity,
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a reader of the record wants to know."""
        return {
            "similarity": self._similarity,
            "text_features": self.texts.path.name,
            "video_features": self.videos.path.name,
            "dimensions": int(self.texts.vectors.shape[-1]),
            "device": str(self._device),
        }

    @property
    def block(self) -> tuple[int, int]:
        """As many texts as keep the products of a tile in a few megabytes."""
        if not (self.texts.several or self.videos.several):
            return _SINGLE
        vectors = self._vectors(self.texts) * self._vectors(self.videos)
        return max(1, min(1024, _TILE // (_VIDEOS * vectors))), _VIDEOS

    def text_rows(self, rows: NDArray[np.int64]) -> Features:
        """Return the features of some texts, ready for `similarity`. Raises DataError for bad vectors."""
        return self.texts.rows(rows, normalise=not self._similarity.endswith("dot"))

    def video_rows(self, rows: NDArray[np.int64]) -> Features:
        """Return the features of some videos, ready for `similarity`. Raises DataError for bad vectors."""
        return self.videos.rows(rows, normalise=not self._similarity.endswith("dot"))

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Score [T, W, D] against [V, F, D] with their masks: float32 [T, V]."""
        words, frames = text["vectors"].to(self._device), video["vectors"].to(self._device)
        with arithmetic("fp32"):
            return self._scores(words, frames, text["mask"].to(self._device), video["mask"].to(self._device))

    def _scores(
        self, words: torch.Tensor, frames: torch.Tensor, is_word: torch.Tensor, is_frame: torch.Tensor
    ) -> torch.Tensor:
        if not (self.texts.several or self.videos.several):
            return words[:, 0] @ frames[:, 0].T
        products = torch.einsum("twd,vfd->twvf", words, frames)
        best = products.masked_fill(~is_frame[None, None], -torch.inf).amax(dim=-1)
        return (best * is_word[..., None]).sum(dim=1)

    def _vectors(self, file: FeatureFile) -> int:
        return int(file.vectors.shape[1]) if file.several else 1


@knows_itself(ScorerInfo(needs_videos=False))
def build(
    *,
    text_features: Path,
    video_features: Path,
    similarity: Similarity | None = None,
    name: str = "features",
    device: str = "cpu",
) -> PrecomputedFeatures:
    """Features that were computed elsewhere: cosine, dot, maxsim or maxsim-dot. Needs no video files."""
    texts, videos = read_features(text_features), read_features(video_features)
    return PrecomputedFeatures(texts, videos, similarity, name=name, device=device)
