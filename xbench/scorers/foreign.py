"""A scorer that did not come with xbench: what fails in its code becomes a message that says where."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from xbench.errors import ModelError, XbenchError
from xbench.metrics.explanation import Explanation
from xbench.scorers.base import Clip, Features, Scorer, VideoInput
from xbench.scorers.finding import MEND, what_failed
from xbench.scorers.weights import WeightFile
from xbench.storage import file_sha256

T = TypeVar("T")


class Foreign:
    """The scorer itself in all it declares and does; an exception in its methods is a ModelError."""

    def __init__(self, scorer: Scorer, checkpoint: Path | None = None) -> None:
        """checkpoint: what it was given, a file or something else that it knows how to open."""
        self._scorer, self._checkpoint = scorer, checkpoint

    @property
    def wrapped(self) -> Scorer:
        """The scorer itself, as its author wrote it."""
        own: Scorer = getattr(self._scorer, "wrapped", self._scorer)
        return own

    @cached_property
    def file(self) -> WeightFile | None:
        """The file that it was given; it opens that itself, and xbench once more, to tell which it was."""
        if self._checkpoint is None or not self._checkpoint.is_file():
            return None
        return WeightFile(self._checkpoint, file_sha256(self._checkpoint))

    @property
    def name(self) -> str:
        return self._scorer.name

    @property
    def identity(self) -> Mapping[str, Any] | None:
        return self._scorer.identity

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._scorer.settings

    @property
    def block(self) -> tuple[int, int]:
        return self._scorer.block

    @property
    def video_input(self) -> VideoInput:
        """As the scorer says, its own transform guarded, too."""
        wants = self._scorer.video_input
        transform = wants.frame_transform if isinstance(wants, VideoInput) else None
        if transform is None:
            return wants
        return replace(wants, frame_transform=lambda frame: self._call("frame_transform", transform, frame))

    def encode_texts(self, texts: Sequence[str]) -> Features:
        return self._call("encode_texts", self._scorer.encode_texts, texts)

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        encode = self._scorer.encode_videos  # type: ignore[attr-defined]  # called if it says so
        return self._call("encode_videos", encode, frames, mask)

    def encode_clips(self, clips: Sequence[Clip]) -> Features:
        encode = self._scorer.encode_clips  # type: ignore[attr-defined]
        return self._call("encode_clips", encode, clips)

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        return self._call("similarity", self._scorer.similarity, text, video)

    def explain(self, caption: str, text: Features, video: Features) -> Explanation:
        """As the scorer does, where it can: see `explains`."""
        own: Any = self._scorer
        explanation: Explanation = self._call("explain", own.explain, caption, text, video)
        return explanation

    def _call(self, what: str, function: Callable[..., T], *given: Any) -> T:
        try:
            return function(*given)
        except XbenchError:
            raise
        except Exception as error:
            raise ModelError(f"{what} of {self._scorer.name} failed: {what_failed(error)}. {MEND}") from error
