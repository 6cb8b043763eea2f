"""CLIP4Clip, and CLIP itself with averaged frames, behind the scorer contract."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from xbench.scorers.base import ENCODER_RULES, Features, VideoInput
from xbench.scorers.batches import Batches
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.inputs import check_vocabulary, checked_mask
from xbench.scorers.clip.style import OPENAI, Style
from xbench.scorers.clip4clip.sizes import Sizes
from xbench.scorers.device import gpu_identity
from xbench.scorers.precision import TOWERS, arithmetic, check_precision
from xbench.scorers.upload import upload
from xbench.scorers.weights import State
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.clip4clip.model import Clip4ClipModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_TEXTS_AT_ONCE = {"cpu": 128, "cuda": 1024}
_LIBRARIES = ("torch", "transformers", "ftfy", "regex")
"""Their versions can change a feature."""


class Clip4Clip:
    """One vector for a text, one for a video, scored by their cosine times the learned scale.

    The towers are built on first use: scoring cached features needs no transformers.
    """

    def __init__(
        self,
        state: State,
        sizes: Sizes,
        *,
        tokenizer: ClipTokenizer,
        sha256: str | None = None,
        source: str = "the state dict",
        precision: Precision = "fp32",
        device: str = "cpu",
        name: str = "clip4clip",
        style: Style = OPENAI,
    ) -> None:
        """Take a state dict in the published layout, float32, complete for `sizes`.

        sha256 names the weights in caches and records; None for weights in memory, whose features are not
        cached. source is what messages call the weights. Raises ModelError when the vocabulary does not fit,
        UsageError for a precision that is unknown or not to be had on the device.
        """
        self._device = torch.device(device)
        check_precision(precision, self._device)
        check_vocabulary(tokenizer, sizes.clip.vocabulary, source)
        self.sizes, self.name, self.precision = sizes, name, precision
        self._state, self._tokenizer, self._sha256, self._style = state, tokenizer, sha256, style
        self._scale = state["clip.logit_scale"].exp().to(self._device)
        self._frame_batches = Batches(_FRAMES_AT_ONCE[self._device.type], "frames")
        self._text_batches = Batches(_TEXTS_AT_ONCE[self._device.type], "texts")

    @property
    def video_input(self) -> VideoInput:
        """CLIP's transform at the checkpoint's image size."""
        return VideoInput(
            size=self.sizes.clip.image,
            mean=self._style.mean,
            std=self._style.std,
            max_frames=self.sizes.frames,
        )

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for weights in memory."""
        if self._sha256 is None:
            return None
        return {
            "scorer": self.name,
            "encoder": ENCODER_RULES,
            "weights": self._sha256,
            "vocabulary": self._tokenizer.sha256,
            "variant": self.sizes.variant,
            "words": self.sizes.words,
            "frames": self.sizes.frames,
            "style": asdict(self._style),
            "precision": self.precision,
            "device": self._device.type,
            **self._gpu,
            "versions": {library: version(library) for library in _LIBRARIES},
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record."""
        return {
            "backbone": self.sizes.clip.backbone,
            "variant": self.sizes.variant,
            "words": self.sizes.words,
            "frames": self.sizes.frames,
            "temporal_layers": self.sizes.temporal_layers,
            "activation": self._style.activation,
            "image_size": self.sizes.clip.image,
            "embedding": self.sizes.clip.embed,
            "logit_scale": round(float(self._scale), 4),
            "precision": self.precision,
            "device": str(self._device),
            **self._gpu,
        }

    @property
    def block(self) -> tuple[int, int]:
        """One product of matrices a block."""
        return 512, 512

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `sentence` float32 [B, D], L2-normalised."""
        tokens = self._tokenizer.batch(texts, self.sizes.words)
        with arithmetic(self.precision):
            parts = self._text_batches.each(
                len(tokens), lambda part: self._model.texts(tokens[part].to(self._device))
            )
        return {"sentence": torch.cat(parts)}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `video` float32 [B, D], L2-normalised; padding is not looked at.

        Raises ModelError when the input does not fit the model or a video has no frame.
        """
        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most)
        pixels, dtype = frames[mask.to(frames.device)], TOWERS[self.precision]
        with arithmetic(self.precision):
            parts = self._frame_batches.each(
                len(pixels), lambda part: self._model.images(upload(pixels[part], self._device, dtype))
            )
            # Padding is left out, but it is normalised before that, which zeros would not survive.
            images = torch.ones(*mask.shape, self.sizes.clip.embed, device=self._device)
            images[mask.to(self._device)] = torch.cat(parts)
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
    def _gpu(self) -> dict[str, str]:
        return gpu_identity(self._device)

    @cached_property
    def _model(self) -> "Clip4ClipModel":
        from xbench.scorers.clip.towers import in_half
        from xbench.scorers.clip4clip.model import Clip4ClipModel

        model = Clip4ClipModel(self.sizes, self._state, self._style).eval().requires_grad_(False)
        if TOWERS[self.precision] != torch.float32:
            in_half(model.towers, TOWERS[self.precision])
        return model.to(self._device)
