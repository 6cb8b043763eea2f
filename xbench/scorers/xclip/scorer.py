"""X-CLIP behind the scorer contract: captions and frames to features, features to scores."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from xbench.metrics.explanation import Explanation
from xbench.scorers.base import Features
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.scorer import ClipScorer, checked_mask, source_of
from xbench.scorers.clip.sizes import RetrievalSizes
from xbench.scorers.device import TOWERS, Batches, arithmetic, upload
from xbench.scorers.weights import State, WeightFile
from xbench.scorers.xclip.aosm import MATRICES, Aosm
from xbench.scorers.xclip.dispatch import similarity_on
from xbench.scorers.xclip.explain import explain
from xbench.scorers.xclip.sizes import infer_sizes
from xbench.terms import Precision

if TYPE_CHECKING:
    from xbench.scorers.xclip.model import XClipModel

_BLOCK = {"cpu": (512, 256), "cuda": (512, 512)}
"""Texts many, so that what a block costs per video is spread thin; videos many, so that those with equally
much padding fill tiles, see `tiles`, and a GPU has work for all of its cores."""
_FRAMES_AT_ONCE = {"cpu": 32, "cuda": 256}
_VIDEOS_AT_ONCE = 1 << 14


class XClip(ClipScorer[RetrievalSizes]):
    """The scorer: CLIP's towers, a temporal encoder, and the AOSM over words and frames."""

    def __init__(
        self,
        state: State,
        *,
        tokenizer: ClipTokenizer,
        file: WeightFile | None = None,
        version: str | None = None,
        precision: Precision = "fp32",
        device: str = "cpu",
        name: str = "xclip",
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """Take a state dict in the published layout, float32; see `ClipScorer`.

        origin: what the record says of where the weights came from. Raises ModelError when weights or
        vocabulary do not fit, UsageError for a precision that is unknown or not to be had on the device.
        """
        super().__init__(
            state,
            infer_sizes(state, source_of(file)),
            name=name,
            tokenizer=tokenizer,
            file=file,
            version=version,
            precision=precision,
            device=device,
            frames_at_once=_FRAMES_AT_ONCE,
        )
        self._origin = dict(origin or {})
        aosm = Aosm(state).to(self._device).requires_grad_(False)
        self._similarity = similarity_on(self._device, aosm, precision)
        self._video_batches = Batches(_VIDEOS_AT_ONCE, "videos")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the shapes of the checkpoint say, for the record, and what computes the similarity."""
        layers = {"text_layers": self.sizes.clip.text_layers}
        return {**super().settings, **layers, **self._origin, **self._similarity.settings}

    @property
    def block(self) -> tuple[int, int]:
        """By device; see `_BLOCK`."""
        return _BLOCK[self._device.type]

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B captions to `sentence` [B, D] and `words` [B, W, D], float32, L2-normalised."""
        parts = self._encoded(self._tokens(texts), self._model.texts)
        sentence, words = (torch.cat(group) for group in zip(*parts, strict=True))
        return {"sentence": sentence, "words": words}

    @torch.inference_mode()
    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos to `video` [B, D] and `frames` [B, F, D], float32, L2-normalised.

        Only valid frames are encoded; every padded position gets the features of one zero frame, as the
        published code computes them from its zero pixels. Raises ModelError when the input does not fit the
        checkpoint or a video has no frame.
        """
        from xbench.scorers.xclip.model import place

        side, most = self.sizes.clip.image, self.sizes.frames
        mask = checked_mask(self.name, frames, mask, side=side, most=most)
        with arithmetic(self.precision):
            valid = mask.to(frames.device).flatten().nonzero().flatten()
            encoded = self._images(frames.flatten(0, 1), valid)
            images = place(encoded, mask.to(self._device), self._padding)
            short = self.sizes.frames - images.shape[1]
            images = torch.cat([images, self._padding.expand(len(images), short, -1)], dim=1)
            padded = torch.nn.functional.pad(mask.to(self._device), (0, short))
            parts = self._video_batches.each(
                len(images), lambda part: self._model.videos(images[part], padded[part])
            )
        video, frame = (torch.cat(group) for group in zip(*parts, strict=True))
        return {"video": video, "frames": frame}

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Return the logits float32 [T, V] of a block."""
        return self._similarity(text["sentence"], text["words"], video["video"], video["frames"])

    def explain(self, caption: str, text: Features, video: Features) -> Explanation:
        """Return the four similarities of a pair; see `explain`."""
        return explain(
            {name: self._state[name] for name in (*MATRICES, "clip.logit_scale")},
            self._tokenizer.pieces(caption, self.sizes.words),
            (text["sentence"][0], text["words"][0]),
            (video["video"][0], video["frames"][0]),
        )

    @cached_property
    def _model(self) -> "XClipModel":
        from xbench.scorers.xclip.model import XClipModel

        model = XClipModel(self.sizes, self._state)
        return self._placed(model, model.towers)

    @cached_property
    def _padding(self) -> torch.Tensor:
        """Features [D] of a zero frame: encoded once, so that all padded frames are one identical vector."""
        side = self.sizes.clip.image
        return self._images(torch.zeros(1, 3, side, side), torch.zeros(1, dtype=torch.int64))[0]

    def _images(self, pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Encode some rows of [N, 3, H, W], gathered batch by batch: a GPU computes meanwhile."""
        dtype = TOWERS[self.precision]
        parts = self._frame_batches.each(
            len(rows), lambda part: self._model.images(upload(pixels[rows[part]], self._device, dtype))
        )
        return torch.cat(parts)
