"""Which model is to be built, from what, and where it computes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xbench.terms import Precision


@dataclass(frozen=True)
class ModelRequest:
    """A model as the options of a run ask for it.

    name: as given to --model. words and frames are the protocol's; a checkpoint's own shapes win over them.
    args: what --model-args says, text or values. precision: None for fp32, or what
    checkpoints.yaml says of the model.
    """

    name: str
    checkpoint: Path | None = None
    clip: str | None = None
    bpe: Path | None = None
    precision: Precision | None = None
    device: str = "auto"
    words: int = 32
    frames: int = 12
    text_features: Path | None = None
    video_features: Path | None = None
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs_videos(self) -> bool:
        """Whether video files are decoded for it."""
        return self.name != "features"
