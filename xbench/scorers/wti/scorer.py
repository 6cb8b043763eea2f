"""Weighted token interaction behind the scorer contract."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.sampling import FrameRule, frame_rule
from xbench.scorers.base import Features, VideoInput
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask
from xbench.scorers.device import arithmetic, upload
from xbench.scorers.pieces import in_pieces
from xbench.scorers.weights import State, WeightFile
from xbench.scorers.wti.interaction import as_features, scores
from xbench.scorers.wti.sizes import InteractionSizes
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.wti.model import WtiModel

_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 128}
_TEXTS, _VIDEOS = 128, 32
"""Texts of a piece at most, and its videos."""
_COSINES = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Cosines of words and frames that a piece may hold, as far as one text allows."""
_DECODER = (
    "frames in decoding order: the later ones that decord 0.6, with which HBI and DRL read, gives of MPEG-4 "
    "files with B-frames are not imitated"
)


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
        sampling: FrameRule | str = "published",
        precision: Precision = "fp32",
        device: str = "cpu",
    ) -> None:
        """Take a state dict complete for `sizes`, float32; see `ClipScorer`. sampling: see `VideoInput`.

        Raises UsageError for a sampling that is none.
        """
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
        self._sampling = frame_rule(sampling)

    @property
    def video_input(self) -> VideoInput:
        """CLIP's transform; the frames as the training took them."""
        return replace(super().video_input, sampling=self._sampling)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes and precision, for the record, and what of the published computation is not imitated."""
        widths = " x ".join(str(side) for side in (self.sizes.clip.embed, *self.sizes.hidden, 1))
        origin = {"trained_as": "HBI", "unused_parameters": self.sizes.unused} if self.sizes.unused else {}
        return {**super().settings, **origin, "weighting": widths, "decoder": _DECODER}

    @property
    def block(self) -> tuple[int, int]:
        """Several pieces."""
        return 512, 256

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `tokens` [B, W, D], of unit length, 0 under padding, and `weights` [B, W]."""
        tokens = self._tokens(texts)
        # Zeros come after the end token, whose id is the highest; a caption may hold one of its own.
        ends = (tokens == self.sizes.clip.vocabulary - 1).flip(1).int().argmax(dim=1, keepdim=True)
        mask = torch.arange(tokens.shape[1]) < tokens.shape[1] - ends

        def encode(part: slice) -> Features:
            words, inside = self._model.words(tokens[part].to(self._device)), mask[part].to(self._device)
            return as_features(words, self._model.weigh_words(words, inside), inside)

        with arithmetic(self.precision):
            parts = self._text_batches.each(len(tokens), encode)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `tokens` [B, F, D], of unit length, 0 under padding, and `weights` [B, F].

        F is that of the sizes. Raises ModelError when the input does not fit the model or a video has no
        frame.
        """
        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most)
        with arithmetic(self.precision):
            images = self._frame_features(frames, mask, self._model.images)
            short = (0, most - images.shape[1])
            images = torch.nn.functional.pad(images, (0, 0, *short), value=1.0)
            inside = torch.nn.functional.pad(mask.to(self._device), short)
            seen = self._model.temporal(images, inside)
            return as_features(seen, self._model.weigh_frames(seen, inside), inside)

    @torch.inference_mode()
    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return the scores float32 [T, V] of a block."""
        sides = [
            {name: upload(tensor, self._device) for name, tensor in side.items()} for side in (text, video)
        ]
        with arithmetic(self.precision):
            return in_pieces(sides[0], sides[1], (self._texts_at_once, _VIDEOS), lambda some: some, scores)

    @property
    def _texts_at_once(self) -> int:
        """The power of two that keeps a piece within _COSINES, at most _TEXTS."""
        most = _COSINES[self._device.type] // (self.sizes.words * self.sizes.frames * _VIDEOS)
        return min(_TEXTS, 1 << max(0, most.bit_length() - 1))

    @cached_property
    def _model(self) -> "WtiModel":
        from xbench.scorers.wti.model import WtiModel

        model = WtiModel(self.sizes, self._state)
        return self._placed(model, model.towers)
