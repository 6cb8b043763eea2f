"""A re-ranker as a scorer: for whatever asks for the scores of a block, each text of it is re-ranked."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from xbench.errors import ModelError
from xbench.scorers.base import Clip, Features, Scorer, VideoInput, whereabouts
from xbench.scorers.foreign import Foreign

_MEMBERS = ("block", "similarity")
"""What a scorer has and a re-ranker may lack."""
_VIDEOS = 128
"""Candidates that are given to a re-ranker at a time."""


class EveryPair:
    """What a `Reranker` lacks to be a `Scorer`; all else is the re-ranker's."""

    cross_encoder = True
    block = (1, _VIDEOS)

    def __init__(self, reranker: Any) -> None:
        """reranker: an object with the members of `Reranker` and what encodes."""
        self.wrapped = reranker

    @property
    def name(self) -> str:
        return str(self.wrapped.name)

    @property
    def identity(self) -> Mapping[str, Any] | None:
        known: Mapping[str, Any] | None = self.wrapped.identity
        return known

    @property
    def settings(self) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.wrapped.settings
        return known

    @property
    def video_input(self) -> VideoInput:
        wants: VideoInput = self.wrapped.video_input
        return wants

    def encode_texts(self, texts: Sequence[str]) -> Features:
        features: Features = self.wrapped.encode_texts(texts)
        return features

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        features: Features = self.wrapped.encode_videos(frames, mask)
        return features

    def encode_clips(self, clips: Sequence[Clip]) -> Features:
        features: Features = self.wrapped.encode_clips(clips)
        return features

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Score every text with every video: [T, V]. Raises ModelError for another shape than [V] a text."""
        count, videos = (len(next(iter(side.values()))) for side in (text, video))
        rows = [
            self.wrapped.rerank({name: tensor[row : row + 1] for name, tensor in text.items()}, video)
            for row in range(count)
        ]
        for scores in rows:
            if tuple(scores.shape) != (videos,):
                raise ModelError(
                    f"{whereabouts(self, 'rerank')} returned shape {tuple(scores.shape)} for {videos} videos:"
                    f" it must be ({videos},)."
                )
        return torch.stack(rows)


def is_reranker_only(candidate: Any) -> bool:
    """Whether an object can rerank and lacks what scores a block."""
    return _has(candidate, "rerank") and not all(_has(candidate, member) for member in _MEMBERS)


def as_second_stage(scorer: Scorer) -> Scorer:
    """Return a scorer that scores as the second of two stages: by `rerank` where it has that."""
    own = getattr(scorer, "wrapped", scorer)
    if not _has(own, "rerank"):
        return scorer
    return Foreign(EveryPair(own)) if isinstance(scorer, Foreign) else EveryPair(own)


def _has(candidate: Any, member: str) -> bool:
    """Whether there is such a member, without calling a property, which may fail."""
    return inspect.getattr_static(candidate, member, None) is not None
