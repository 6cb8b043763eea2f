"""A model of transformers behind the scorer contract, and what it is fed."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch

from xbench.errors import ModelError
from xbench.scorers.base import ENCODER_RULES, Features, VideoInput
from xbench.scorers.cosine import Cosine, mean_of_frames, unit
from xbench.scorers.device import TOWERS, Batches, arithmetic, gpu_identity, upload
from xbench.scorers.hf.load import Parts
from xbench.terms import Precision

_NO_LIMIT = 100_000
"""Tokenizers without a limit say a huge number."""


class TextInput:
    """Captions as the arguments of `get_text_features`, all padded to the longest that the model reads."""

    def __init__(self, parts: Parts, max_tokens: int | None) -> None:
        """max_tokens: shorter than the model allows. Raises ModelError when nothing tells the length."""
        self._tokenizer, self._model = parts.tokenizer, parts.model
        config = parts.model.config.get_text_config()
        limits = (getattr(config, "max_position_embeddings", None), parts.tokenizer.model_max_length)
        known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
        if not known and max_tokens is None:
            raise ModelError(
                f"{parts.source} does not tell how long a text may be: give --model-args max_tokens=N."
            )
        self.length = min([*known, *([max_tokens] if max_tokens else [])])
        # SigLIP's towers were trained on full length without a mask, and read the text off the last position.
        self._full_length = parts.model.config.model_type.startswith("siglip")
        if self._full_length:
            parts.tokenizer.padding_side = "right"
        self._names = set(inspect.signature(parts.model.get_text_features).parameters)

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return int64 [B, length] tensors by argument name."""
        encoded = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self.length, return_tensors="pt"
        )
        dropped = {"attention_mask"} if self._full_length else set()
        return {name: encoded[name] for name in encoded if name in self._names - dropped}


class FrameInput:
    """One frame as the model's image processor makes it."""

    def __init__(self, parts: Parts) -> None:
        """Raises ModelError, on a made-up frame, for processors that give more than pixels."""
        self._images, self._source = parts.images, parts.source
        self(torch.zeros(48, 64, 3, dtype=torch.uint8).numpy())

    def __call__(self, frame: Any) -> torch.Tensor:
        """Turn uint8 RGB [H, W, 3] into float32 [3, h, w]."""
        made = self._images([frame], return_tensors="pt", input_data_format="channels_last")
        pixels = made["pixel_values"]
        if pixels.ndim not in (4, 5) or pixels.shape[:-3].numel() != 1 or pixels.shape[-3] != 3:
            raise ModelError(
                f"The image processor of {self._source} gives {list(pixels.shape)} for a frame, not one"
                " picture [3, h, w], as models do that cut pictures into patches of their own: write a"
                " scorer for it, see docs/scorers.md."
            )
        picture: torch.Tensor = pixels.reshape(pixels.shape[-3:]).float()
        return picture


_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_TEXTS_AT_ONCE = {"cpu": 64, "cuda": 512}
_LIBRARIES = ("torch", "transformers", "tokenizers")


class HuggingFace(Cosine):
    """Any model with `get_text_features` and `get_image_features` or `get_video_features`.

    With image features, a video is the mean of its L2-normalised frame features. With video features, the
    model gets as many frames as it was trained with, spread evenly; of a shorter video some come twice.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        frames: int = 12,
        max_tokens: int | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
        name: str = "hf",
    ) -> None:
        """frames: how many of a video, for a model of images; one of videos knows its own number.

        max_tokens: cut texts earlier than the model does. Raises ModelError for input that the harness cannot
        make, UsageError for a precision that is unknown or not to be had on the device.
        """
        super().__init__(precision, device)
        self.name, self._parts = name, parts
        self._text_input, self._frame_input = TextInput(parts, max_tokens), FrameInput(parts)
        self._clip_length = _clip_length(parts.model)
        self._frames = self._clip_length or frames
        self._frame_batches = Batches(_FRAMES_AT_ONCE[self._device.type], "frames")
        self._clip_batches = Batches(max(1, _FRAMES_AT_ONCE[self._device.type] // self._frames), "videos")
        self._text_batches = Batches(_TEXTS_AT_ONCE[self._device.type], "texts")

    @property
    def video_input(self) -> VideoInput:
        """Frames through the model's own image processor; spread evenly for a model of videos."""
        return VideoInput(
            max_frames=self._frames,
            sampling="uniform" if self._clip_length else "published",
            frame_transform=self._frame_input,
        )

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for weights of an unknown version."""
        if self._parts.version is None:
            return None
        return {
            "scorer": "hf",
            "encoder": ENCODER_RULES,
            "source": self._parts.version,
            "frames": self._frames,
            "tokens": self._text_input.length,
            "precision": self.precision,
            "device": self._device.type,
            **self._gpu,
            "versions": {library: version(library) for library in _LIBRARIES},
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """Architecture, sizes and precision, for the record."""
        return {
            "model": type(self._parts.model).__name__,
            "source": self._parts.source,
            "version": self._parts.version,
            "video": "video features" if self._clip_length else "mean of image features",
            "frames": self._frames,
            "tokens": self._text_input.length,
            "precision": self.precision,
            "device": str(self._device),
            **self._gpu,
        }

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `text` float32 [B, D], L2-normalised."""
        made = self._text_input(texts)

        def encode(part: slice) -> torch.Tensor:
            inputs = {name: tensor[part].to(self._device) for name, tensor in made.items()}
            return _vectors(self._model.get_text_features(**inputs), "get_text_features", self._model)

        with arithmetic(self.precision):
            return {"text": torch.cat(self._text_batches.each(len(texts), encode))}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `video` float32 [B, D], L2-normalised; padding is not looked at."""
        with arithmetic(self.precision):
            return {"video": self._clips(frames, mask) if self._clip_length else self._means(frames, mask)}

    def _means(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        def encode(pixels: torch.Tensor) -> torch.Tensor:
            images = upload(pixels, self._device, TOWERS[self.precision])
            found = self._model.get_image_features(pixel_values=images)
            return _vectors(found, "get_image_features", self._model)

        return mean_of_frames(frames, mask, self._frame_batches, encode)

    def _clips(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        clips = torch.stack(
            [_spread(own[inside], self._frames) for own, inside in zip(frames, mask, strict=True)]
        )

        def encode(part: slice) -> torch.Tensor:
            videos = upload(clips[part], self._device, TOWERS[self.precision])
            found = self._model.get_video_features(videos)
            return _vectors(found, "get_video_features", self._model)

        return torch.cat(self._clip_batches.each(len(clips), encode))

    @cached_property
    def _gpu(self) -> dict[str, str]:
        return gpu_identity(self._device)

    @cached_property
    def _model(self) -> Any:
        return self._parts.model.to(self._device, TOWERS[self.precision])


def _clip_length(model: Any) -> int | None:
    """How many frames a model of videos takes; None for a model of images."""
    if not hasattr(model, "get_video_features"):
        return None
    length = getattr(getattr(model.config, "vision_config", model.config), "num_frames", None)
    if length is None and hasattr(model, "get_image_features"):
        return None
    needed = [
        parameter.name
        for parameter in list(inspect.signature(model.get_video_features).parameters.values())[1:]
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if length is None or needed:
        raise ModelError(
            f"{type(model).__name__} wants more than a number of frames for a video"
            f"{f' ({needed[0]})' if needed else ''}: write a scorer for it, see docs/scorers.md."
        )
    return int(length)


def _spread(frames: torch.Tensor, count: int) -> torch.Tensor:
    """Pick `count` of the frames [F, ...] evenly, some of them twice when there are fewer."""
    return frames[torch.linspace(0, len(frames) - 1, count).round().long()]


def _vectors(found: Any, method: str, model: Any) -> torch.Tensor:
    """Return what a model gave, a tensor or (since version 5) an output, float32 [B, D], L2-normalised.

    [B, 1, D], as VideoPrism gives, is one vector for each item, too.
    """
    vectors = found if isinstance(found, torch.Tensor) else getattr(found, "pooler_output", None)
    if isinstance(vectors, torch.Tensor) and vectors.ndim == 3 and vectors.shape[1] == 1:
        vectors = vectors[:, 0]
    if not isinstance(vectors, torch.Tensor) or vectors.ndim != 2:
        shape = list(vectors.shape) if isinstance(vectors, torch.Tensor) else type(found).__name__
        raise ModelError(
            f"{method} of {type(model).__name__} gives {shape}, not one vector for each item: write a"
            " scorer for it, see docs/scorers.md."
        )
    return unit(vectors.float())
