"""CLIP4Clip's tight type behind the scorer contract: a cross encoder, which sees every pair."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.scorers.base import Features
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask
from xbench.scorers.clip.sizes import RetrievalSizes
from xbench.scorers.device import arithmetic
from xbench.scorers.weights import State, WeightFile
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.clip4clip.cross import TightModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_BLOCK = {"cpu": (8, 32), "cuda": (32, 64)}
_PAIRS_AT_ONCE = {"cpu": 64, "cuda": 1024}
"""Pairs that go through the cross encoder together: always so many, because last bits depend on it."""


class TightTransf(ClipScorer[RetrievalSizes]):
    """A text and the frames of a video go through the cross encoder together, once for every pair."""

    cross_encoder = True

    def __init__(
        self,
        state: State,
        sizes: RetrievalSizes,
        *,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
    ) -> None:
        """Take a state dict in the published layout, float32, complete for `sizes`; see `ClipScorer`."""
        super().__init__(
            state,
            sizes,
            name="clip4clip",
            tokenizer=tokenizer,
            file=file,
            precision=precision,
            device=device,
            frames_at_once=_FRAMES_AT_ONCE,
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record; the logit scale plays no part."""
        known = {**super().settings, "cross_layers": self.sizes.temporal_layers, "activation": "quick_gelu"}
        return {name: value for name, value in known.items() if name not in _NOT_OF_IT}

    @property
    def block(self) -> tuple[int, int]:
        """A few hundred pairs: what is lost when a run is killed."""
        return _BLOCK[self._device.type]

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `sentence` float32 [B, D], not normalised."""
        return {"sentence": torch.cat(self._encoded(self._tokens(texts), self._model.texts))}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `frames` float32 [B, F, D], not normalised, zeros in the padding, and `mask`.

        Raises ModelError when the input does not fit the model or a video has no frame.
        """
        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most).to(self._device)
        with arithmetic(self.precision):
            images = self._frame_features(frames, mask, self._model.images)
        return {"frames": images * mask[..., None], "mask": mask}

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return the cross encoder's score of every pair, float32 [T, V].

        Pairs go through it in batches of one size, the last filled up: whatever block a pair is in, it gets
        the same bits, and so do copies of a text or a video.
        """
        sentences = text["sentence"].to(self._device, torch.float32)
        frames, mask = video["frames"].to(self._device, torch.float32), video["mask"].to(self._device)
        count, size = len(sentences) * len(frames), _PAIRS_AT_ONCE[self._device.type]
        parts = []
        with arithmetic(self.precision):
            for start in range(0, count, size):
                some = torch.arange(start, start + size, device=self._device) % count
                pair = sentences[some // len(frames)], frames[some % len(frames)], mask[some % len(frames)]
                parts.append(self._model.pairs(*pair))
        return torch.cat(parts)[:count].view(len(sentences), len(frames))

    def rerank(self, text: Features, videos: Features) -> torch.Tensor:
        """Score one text with K candidate videos: float32 [K]."""
        return self.similarity(text, videos)[0]

    @cached_property
    def _model(self) -> "TightModel":
        from xbench.scorers.clip4clip.cross import TightModel

        model = TightModel(self.sizes, self._state)
        return self._placed(model, model.towers)


_NOT_OF_IT = frozenset({"logit_scale", "temporal_layers"})
"""Settings of the other types, which say nothing of this one."""
