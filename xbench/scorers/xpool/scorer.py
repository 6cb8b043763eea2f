"""X-Pool behind the scorer contract: features as CLIP gives them, pooled where a pair is scored."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.scorers.base import Features, VideoInput
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask
from xbench.scorers.device import arithmetic, upload
from xbench.scorers.pieces import in_pieces
from xbench.scorers.weights import State, WeightFile
from xbench.scorers.xpool.pixels import RULE, video_input
from xbench.scorers.xpool.pooling import Pooling
from xbench.scorers.xpool.sizes import PoolSizes
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.xpool.model import XPoolModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_PIECE = {"cpu": (128, 64), "cuda": (512, 256)}
"""Texts and videos that are pooled at once. A pair takes some 8 F + 3 floats for that moment: with 12 frames
3 MB on a CPU, 50 MB on a GPU, whatever the size of the gallery."""
_CLEANING = "ftfy, spaces, lower case; no HTML unescape"
_SHORT = "the last frame is repeated and counts"
_COUNTED = (
    "by the frames that decode: the published code asks the header how many there are and lets OpenCV seek, "
    "which finds others where the header is wrong or the rate varies"
)


class XPool(ClipScorer[PoolSizes]):
    """The cosine of a text with a video whose frames it has pooled. No scale: scores lie in [-1, 1]."""

    scaled = False

    def __init__(
        self,
        state: State,
        sizes: PoolSizes,
        *,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
    ) -> None:
        """Take a state dict with OpenAI's layout, float32, complete for `sizes`; see `ClipScorer`.

        tokenizer: one that leaves HTML entities as they are.
        """
        super().__init__(
            state,
            sizes,
            name="xpool",
            tokenizer=tokenizer,
            file=file,
            precision=precision,
            device=device,
            frames_at_once=_FRAMES_AT_ONCE,
        )
        self._pooling = Pooling(state, sizes.heads, self._device)

    @property
    def video_input(self) -> VideoInput:
        """The middles of equal parts, in X-Pool's own transform."""
        return video_input(self.sizes.clip.image, self.sizes.frames)

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for weights in memory."""
        known = super().identity
        return None if known is None else {**known, "transform": RULE, "text": _CLEANING}

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record, and the steps in which X-Pool differs from CLIP4Clip."""
        own = {"heads": self.sizes.heads, "transform": RULE, "text": _CLEANING}
        return {**super().settings, **own, "short_clips": _SHORT, "frames_counted": _COUNTED}

    @property
    def block(self) -> tuple[int, int]:
        """Several pieces, so that what a video costs is spread over texts."""
        return 1024, 256

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `text` float32 [B, D], as CLIP projects it."""
        return {"text": torch.cat(self._encoded(self._tokens(texts), self._model.texts))}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `frames` float32 [B, F, D], as CLIP projects them; F is that of the sizes.

        Where a video has fewer, its last frame stands again. Raises ModelError when the input does not fit
        the model or a video has no frame.
        """
        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most).to(self._device)
        with arithmetic(self.precision):
            features = self._frame_features(frames, mask, self._model.images)
        last = mask.sum(dim=1, keepdim=True) - 1
        which = torch.arange(most, device=self._device).minimum(last)
        return {"frames": features[torch.arange(len(features), device=self._device)[:, None], which]}

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return the cosines float32 [T, V] of a block."""
        texts, frames = upload(text["text"], self._device), upload(video["frames"], self._device)
        with arithmetic(self.precision):
            return in_pieces(
                {"text": texts},
                {"frames": frames},
                _PIECE[self._device.type],
                lambda some: self._pooling.videos(some["frames"]),
                lambda few, videos: self._pooling.scores(few["text"], videos),
            )

    @cached_property
    def _model(self) -> "XPoolModel":
        from xbench.scorers.xpool.model import XPoolModel

        model = XPoolModel(self.sizes.clip, self._state)
        return self._placed(model, model.towers)
