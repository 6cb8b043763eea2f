"""Weighted token interaction behind the scorer contract."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.scorers.base import Features, VideoInput
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask
from xbench.scorers.device import arithmetic, upload
from xbench.scorers.pieces import in_pieces
from xbench.scorers.weights import State, WeightFile
from xbench.scorers.wti.interaction import as_features, scores
from xbench.scorers.wti.sizes import InteractionSizes
from xbench.terms import FrameRule, Precision

if TYPE_CHECKING:
    from xbench.scorers.wti.model import WtiModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_VIDEOS = 32
_COSINES = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Cosines of words and frames that are held at once."""


class Wti(ClipScorer[InteractionSizes]):
    """Cosines of words and frames, the best ones weighted. No scale: scores lie in [-1, 1]."""

    scaled = False

    def __init__(
        self,
        state: State,
        sizes: InteractionSizes,
        *,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        sampling: FrameRule = "published",
        precision: Precision = "fp32",
        device: str = "cpu",
    ) -> None:
        """Take a state dict complete for `sizes`, float32; see `ClipScorer`. sampling: see `VideoInput`."""
        super().__init__(
            state,
            sizes,
            name="wti",
            tokenizer=tokenizer,
            file=file,
            precision=precision,
            device=device,
            frames_at_once=_FRAMES_AT_ONCE,
        )
        self._sampling = sampling

    @property
    def video_input(self) -> VideoInput:
        """CLIP's transform; the frames as the training took them."""
        return replace(super().video_input, sampling=self._sampling)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record, and what of the published computation is not imitated."""
        widths = " x ".join(str(side) for side in (self.sizes.clip.embed, *self.sizes.hidden, 1))
        own = {"weighting": widths, "unused_parameters": self.sizes.unused, "decoder": _DECODER}
        return {**super().settings, **own}

    @property
    def block(self) -> tuple[int, int]:
        """Several pieces."""
        return 512, 256
