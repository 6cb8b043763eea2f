"""What a model of transformers is fed: token ids of fixed length, pixels by its own image processor."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from xbench.errors import ModelError
from xbench.scorers.hf.load import Parts

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
                f"{parts.source} does not tell how long a text may be: --model-args max_tokens=N."
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
                f"The image processor of {self._source} gives {list(pixels.shape)} for a frame, not one "
                "picture [3, h, w]: models that cut pictures into patches of their own are not supported."
            )
        picture: torch.Tensor = pixels.reshape(pixels.shape[-3:]).float()
        return picture
