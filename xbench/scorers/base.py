"""The contract between the harness and a model: what a scorer declares and the three things it can do.

Everything an item costs is in `encode_texts` and `encode_videos`, which see each caption and each video once.
Everything a pair costs is in `similarity`, which sees features only. The harness decodes, samples and
transforms the frames, caches the features, and cuts the T x V matrix into blocks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch

Features = dict[str, torch.Tensor]
"""Named tensors with a common first dimension, so that they can be sliced, cached and streamed.

For example {"sentence": [T, D], "words": [T, W, D]} for texts, {"video": [V, D], "frames": [V, F, D]} for
videos. Any dtype; on any device.
"""


@dataclass(frozen=True)
class VideoInput:
    """What a scorer wants to see of a video: at most `max_frames` frames of `size` x `size` pixels.

    The smaller side is resized to `size` (bicubic, as CLIP does), the centre is cropped, values are divided
    by 255, and `mean` and `std` (RGB) are applied. `sampling` names the rule that picks the frames:
    `published` (one a second, cut uniformly to `max_frames`) or `uniform` (the middle of `max_frames` equal
    parts). With `frame_transform`, one uint8 RGB frame [H, W, 3] is handed to it instead and the float tensor
    [3, h, w] that it returns is taken as it is.
    """

    size: int = 224
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    max_frames: int = 12
    sampling: Literal["published", "uniform"] = "published"
    frame_transform: Callable[[Any], torch.Tensor] | None = None


@runtime_checkable
class PairScorer(Protocol):
    """What ranking needs of a scorer: to score pairs of features, wherever those came from."""

    @property
    def name(self) -> str:
        """Short name for tables, e.g. `xclip`."""
        ...

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """Everything that changes the features (checkpoint sha256, sizes, precision, ...), JSON values only.

        None for a model object in memory: its features are never cached across runs.
        """
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a reader of the record wants to know (backbone, variant, words, frames, ...), JSON values."""
        ...

    @property
    def block(self) -> tuple[int, int]:
        """(texts, videos) that one call of `similarity` gets. Depends on the model and device only.

        Float products change with the block's shape, so it must not depend on memory, threads or data size.
        """
        ...

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Score every text of a block against every video of it: float32 [T, V], higher is closer.

        Smaller blocks than `block` come at the edges of the matrix. A row depends on its own text only, an
        entry on its own text and video only.
        """
        ...


@runtime_checkable
class Scorer(PairScorer, Protocol):
    """A model behind the harness. No base class is needed; any object with these members will do."""

    @property
    def video_input(self) -> VideoInput:
        """How videos are sampled and transformed for this model."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B raw captions. Returns features with first dimension B."""
        ...

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos. frames: float32 [B, F, 3, H, W], padded with zeros; mask: bool [B, F]."""
        ...
