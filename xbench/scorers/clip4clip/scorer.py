"""CLIP4Clip, and CLIP itself with averaged frames, behind the scorer contract."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.scorers.base import Features, VideoInput
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask
from xbench.scorers.clip.sizes import RetrievalSizes
from xbench.scorers.clip.style import OPENAI, Style
from xbench.scorers.device import arithmetic
from xbench.scorers.weights import State, WeightFile
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.clip4clip.model import Clip4ClipModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}


class Clip4Clip(ClipScorer[RetrievalSizes]):
    """One vector for a text, one for a video, scored by their cosine times the learned scale."""

    def __init__(
        self,
        state: State,
        sizes: RetrievalSizes,
        *,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
        name: str = "clip4clip",
        style: Style = OPENAI,
    ) -> None:
        """Take a state dict in the published layout, float32, complete for `sizes`; see `ClipScorer`."""
        super().__init__(
            state,
            sizes,
            name=name,
            tokenizer=tokenizer,
            file=file,
            precision=precision,
            device=device,
            frames_at_once=_FRAMES_AT_ONCE,
        )
        self._style = style
        self._scale = state["clip.logit_scale"].exp().to(self._device)

    @property
    def video_input(self) -> VideoInput:
        """CLIP's transform at the checkpoint's image size, with the pixels' statistics of its style."""
        return replace(super().video_input, mean=self._style.mean, std=self._style.std)

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for weights in memory."""
        known = super().identity
        return None if known is None else {**known, "style": asdict(self._style)}

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record."""
        return {**super().settings, "activation": self._style.activation}

    @property
    def block(self) -> tuple[int, int]:
        """One product of matrices a block."""
        return 512, 512

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `sentence` float32 [B, D], L2-normalised."""
        return {"sentence": torch.cat(self._encoded(self._tokens(texts), self._model.texts))}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `video` float32 [B, D], L2-normalised; padding is not looked at.

        Raises ModelError when the input does not fit the model or a video has no frame.
        """
        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most)
        with arithmetic(self.precision):
            images = self._frame_features(frames, mask, self._model.images)
            return {"video": self._model.videos(images, mask.to(self._device))}

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return exp(logit_scale) times the cosines, float32 [T, V]."""
        sentences, videos = (
            features[name].to(self._device, torch.float32)
            for features, name in ((text, "sentence"), (video, "video"))
        )
        with arithmetic(self.precision):
            return self._scale * (sentences @ videos.T)

    @cached_property
    def _model(self) -> "Clip4ClipModel":
        from xbench.scorers.clip4clip.model import Clip4ClipModel

        model = Clip4ClipModel(self.sizes, self._state, self._style)
        return self._placed(model, model.towers)
