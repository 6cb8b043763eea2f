"""A model of open_clip behind the scorer contract: the cosine of a text with the mean of a video's frames."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from PIL import Image

from xbench.scorers.base import ENCODER_RULES, Features, VideoInput
from xbench.scorers.cosine import Cosine, mean_of_frames
from xbench.scorers.device import TOWERS, Batches, arithmetic, gpu_identity, upload
from xbench.scorers.open_clip.load import Parts
from xbench.terms import Precision

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_TEXTS_AT_ONCE = {"cpu": 64, "cuda": 512}
_LIBRARIES = ("torch", "torchvision", "open_clip_torch", "timm", "transformers", "tokenizers")
"""Of those that are installed, a version that changes may change a feature."""


class OpenClip(Cosine):
    """Any model of open_clip. Texts go through its own tokenizer, frames through its own transform.

    A video is the mean of its L2-normalised frame vectors, as for xbench's other models of images.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        frames: int = 12,
        precision: Precision = "fp32",
        device: str = "cpu",
        name: str = "open_clip",
    ) -> None:
        """frames: how many of a video. Raises UsageError for a precision that the device does not have."""
        super().__init__(precision, device)
        self.name, self.file = name, parts.file
        self._parts, self._frames = parts, frames
        self._frame_batches = Batches(_FRAMES_AT_ONCE[self._device.type], "frames")
        self._text_batches = Batches(_TEXTS_AT_ONCE[self._device.type], "texts")

    @property
    def video_input(self) -> VideoInput:
        """Frames through the model's own transform."""
        return VideoInput(max_frames=self._frames, frame_transform=self._transform)

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for a tokenizer that cannot be told from another."""
        if self._parts.identity is None:
            return None
        return {
            "scorer": "open_clip",
            "encoder": ENCODER_RULES,
            **self._parts.identity,
            "frames": self._frames,
            "precision": self.precision,
            "device": self._device.type,
            **self._gpu,
            "versions": {name: _version(name) for name in _LIBRARIES},
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """Architecture, sizes and precision, for the record."""
        return {
            "model": type(self._parts.model).__name__,
            "source": self._parts.source,
            "video": "mean of frame vectors",
            "frames": self._frames,
            "tokens": self._parts.tokenizer.context_length,
            "precision": self.precision,
            "device": str(self._device),
            **self._gpu,
        }

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `text` float32 [B, D], L2-normalised."""
        tokens = self._parts.tokenizer(list(texts))

        def encode(part: slice) -> torch.Tensor:
            found: torch.Tensor = self._model.encode_text(tokens[part].to(self._device), normalize=True)
            return found.float()

        with arithmetic(self.precision):
            return {"text": torch.cat(self._text_batches.each(len(texts), encode))}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `video` float32 [B, D], L2-normalised; padding is not looked at."""

        def encode(pixels: torch.Tensor) -> torch.Tensor:
            images = upload(pixels, self._device, TOWERS[self.precision])
            found: torch.Tensor = self._model.encode_image(images, normalize=True)
            return found.float()

        with arithmetic(self.precision):
            return {"video": mean_of_frames(frames, mask, self._frame_batches, encode)}

    def _transform(self, frame: Any) -> torch.Tensor:
        return self._parts.transform(Image.fromarray(frame))

    @cached_property
    def _gpu(self) -> dict[str, str]:
        return gpu_identity(self._device)

    @cached_property
    def _model(self) -> Any:
        return self._parts.model.to(self._device)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
