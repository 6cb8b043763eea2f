"""What every scorer with CLIP's towers does alike: its input is checked, texts and videos are encoded."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch

from xbench.errors import ModelError
from xbench.scorers.base import ENCODER_RULES, VideoInput
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.device import TOWERS, Batches, arithmetic, check_precision, gpu_identity, upload
from xbench.scorers.weights import State, WeightFile
from xbench.terms import Precision


def checked_mask(
    name: str, frames: torch.Tensor, mask: torch.Tensor, *, side: int, most: int
) -> torch.Tensor:
    """Return the mask as bool [B, F] when the frames are [B, at most `most`, 3, side, side] and fit it.

    Raises ModelError for other shapes, a mask with gaps, and a video without any frame.
    """
    batch = tuple(frames.shape[:2])
    if frames.ndim != 5 or tuple(frames.shape[2:]) != (3, side, side) or batch[1] > most:
        wanted = f"[B, at most {most}, 3, {side}, {side}]"
        raise ModelError(f"{name} was given frames of shape {list(frames.shape)}: expected {wanted}.")
    if tuple(mask.shape) != batch:
        raise ModelError(f"{name} was given a mask of shape {list(mask.shape)}: expected {list(batch)}.")
    mask = mask.bool()
    counts = mask.sum(dim=1)
    if not torch.equal(mask, torch.arange(batch[1], device=mask.device) < counts[:, None]):
        raise ModelError(f"{name} was given a mask with gaps: put the padding after the frames.")
    if bool((counts == 0).any()):
        raise ModelError(f"{name} was given a video without any frame: leave it out.")
    return mask


def check_vocabulary(tokenizer: ClipTokenizer, rows: int, source: str) -> None:
    """Raise ModelError unless the vocabulary has one token for each row of the token embeddings."""
    if tokenizer.size != rows:
        raise ModelError(
            f"The vocabulary {tokenizer.vocabulary} has {tokenizer.size} tokens, the text encoder of "
            f"{source} {rows}. Pass the vocabulary that the model was trained with: --bpe FILE."
        )


_TEXTS_AT_ONCE = {"cpu": 128, "cuda": 1024}
_LIBRARIES = ("torch", "transformers", "ftfy", "regex")
"""Their versions can change a feature: arithmetic, the towers, the cleaning and splitting of text."""

Module = TypeVar("Module", bound=torch.nn.Module)
Encoded = TypeVar("Encoded")
Sized = TypeVar("Sized", bound="Sizes")


class Sizes(Protocol):
    """What a checkpoint's shapes, or whoever loads it, say of a model with CLIP's towers."""

    @property
    def clip(self) -> ClipSizes: ...
    @property
    def variant(self) -> str: ...
    @property
    def words(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def temporal_layers(self) -> int: ...


class ClipScorer(Generic[Sized]):
    """Half of a scorer. The towers are built on first use: scoring cached features needs no transformers."""

    scaled: ClassVar[bool] = True
    """Whether scores are multiplied by the exponential of the learned `logit_scale`."""

    def __init__(
        self,
        state: State,
        sizes: Sized,
        *,
        name: str,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        version: str | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
        frames_at_once: Mapping[str, int],
    ) -> None:
        """Take a state dict in the published layout, float32, complete for `sizes`.

        file: where the weights were read. version names them in caches, by default their file; None
        for weights in memory, whose features are not cached. frames_at_once: batches of frames by the kind of
        device. Raises ModelError when the vocabulary does not fit, UsageError for a precision that is unknown
        or not to be had on the device.
        """
        self._device = torch.device(device)
        check_precision(precision, self._device)
        check_vocabulary(tokenizer, sizes.clip.vocabulary, source_of(file))
        self.sizes, self.name, self.precision, self.file = sizes, name, precision, file
        self._state, self._tokenizer = state, tokenizer
        self._version = version or (file.version if file is not None else None)
        self._frame_batches = Batches(frames_at_once[self._device.type], "frames")
        self._text_batches = Batches(_TEXTS_AT_ONCE[self._device.type], "texts")
        self._logit_scale = float(state["clip.logit_scale"].exp())

    @property
    def video_input(self) -> VideoInput:
        """CLIP's transform at the checkpoint's image size and number of frames."""
        return VideoInput(size=self.sizes.clip.image, max_frames=self.sizes.frames)

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What can change a feature; None for weights in memory."""
        if self._version is None:
            return None
        return {
            "scorer": self.name,
            "encoder": ENCODER_RULES,
            "weights": self._version,
            "vocabulary": self._tokenizer.sha256,
            "variant": self.sizes.variant,
            "words": self.sizes.words,
            "frames": self.sizes.frames,
            "precision": self.precision,
            "device": self._device.type,
            **self._gpu,
            "versions": {library: metadata.version(library) for library in _LIBRARIES},
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the shapes of the checkpoint say, for the record."""
        return {
            "backbone": self.sizes.clip.backbone,
            "variant": self.sizes.variant,
            "words": self.sizes.words,
            "frames": self.sizes.frames,
            "temporal_layers": self.sizes.temporal_layers,
            "image_size": self.sizes.clip.image,
            "embedding": self.sizes.clip.embed,
            **({"logit_scale": round(self._logit_scale, 4)} if self.scaled else {}),
            "precision": self.precision,
            "device": str(self._device),
            **self._gpu,
            **(self.file.settings if self.file is not None else {}),
        }

    def _tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Token ids int64 [B, words]."""
        return self._tokenizer.batch(texts, self.sizes.words)

    def _encoded(self, tokens: torch.Tensor, encode: Callable[[torch.Tensor], Encoded]) -> list[Encoded]:
        """Return what `encode` gives of token ids [B, W], batch by batch, where the model computes."""
        with arithmetic(self.precision):
            return self._text_batches.each(len(tokens), lambda part: encode(tokens[part].to(self._device)))

    def _frame_features(
        self, frames: torch.Tensor, mask: torch.Tensor, encode: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Encode the frames [B, F, 3, H, W] of `mask` to [B, F, D]; elsewhere is 1, which has a length."""
        pixels, dtype = frames[mask.to(frames.device)], TOWERS[self.precision]
        parts = self._frame_batches.each(
            len(pixels), lambda part: encode(upload(pixels[part], self._device, dtype))
        )
        features = torch.ones(*mask.shape, self.sizes.clip.embed, device=self._device)
        features[mask.to(self._device)] = torch.cat(parts)
        return features

    def _placed(self, model: Module, towers: torch.nn.Module) -> Module:
        """Return a model ready to encode: where it computes, its towers in the precision's type."""
        from xbench.scorers.clip.towers import in_half

        model.eval().requires_grad_(False)
        if TOWERS[self.precision] != torch.float32:
            in_half(towers, TOWERS[self.precision])
        return model.to(self._device)

    @cached_property
    def _gpu(self) -> dict[str, str]:
        return gpu_identity(self._device)


def source_of(file: WeightFile | None) -> str:
    """What messages call weights."""
    return "the state dict" if file is None else str(file.path)
