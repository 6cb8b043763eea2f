"""The second and third stage: captions and clips are matched, first over frozen frames, then in whole."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from miniature.descent import Plan, Report, descend
from miniature.images import tower
from miniature.pool import FRAMES, WORDS, Bunch, Drawn, normalised
from xbench.miniature.dice import Dice
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip.model import XClipModel, place

Encode = Callable[[list[int]], tuple[list[torch.Tensor], torch.Tensor]]
"""Numbers of bunches -> the frame features [F, D] of each of their clips, and those of an empty frame [D]."""


@dataclass(frozen=True)
class Matcher:
    """Contrastive learning of a model over bunches of scenes."""

    model: XClipModel
    drawn: Drawn
    tokenizer: ClipTokenizer

    def over_frozen_frames(self, plan: Plan, report: Report) -> None:
        """Train all but the image tower, whose features are computed once."""
        with torch.no_grad():
            features = [
                [self.model.images(normalised(clip)) for clip in bunch] for bunch in self.drawn.pixels
            ]
            empty = self.model.images(self._empty())[0]
        report("frames encoded")

        def encode(chosen: list[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
            return [clip for index in chosen for clip in features[index]], empty

        frozen = {id(parameter) for parameter in tower(self.model)}
        learned = [parameter for parameter in self._parameters() if id(parameter) not in frozen]
        descend(learned, self._loss(encode, plan, "frozen"), plan, report)

    def in_whole(self, plan: Plan, report: Report) -> None:
        """Train everything together, as X-CLIP is trained."""

        def encode(chosen: list[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
            clips = [clip for index in chosen for clip in self.drawn.pixels[index]]
            encoded = self.model.images(torch.cat([normalised(np.concatenate(clips)), self._empty()]))
            return list(encoded[:-1].split([len(clip) for clip in clips])), encoded[-1]

        descend(self._parameters(), self._loss(encode, plan, "whole"), plan, report)

    def _loss(self, encode: Encode, plan: Plan, seed: str) -> Callable[[], torch.Tensor]:
        """InfoNCE over a batch, both ways (Ma et al. 2022, section 3.5)."""
        batches, dice = _batches(self.drawn.bunches, plan.batch), Dice(seed)

        def loss() -> torch.Tensor:
            chosen = next(batches)
            clips, empty = encode(chosen)
            mask = torch.arange(FRAMES) < torch.tensor([len(clip) for clip in clips])[:, None]
            images = place(torch.cat(clips), mask, empty)
            texts = [example.text(dice) for index in chosen for example in self.drawn.bunches[index]]
            sentences = self.model.texts(self.tokenizer.batch(texts, WORDS))
            logits = self.model.aosm(*sentences, *self.model.videos(images, mask))
            own = torch.arange(len(logits))
            return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2

        return loss

    def _parameters(self) -> list[nn.Parameter]:
        """All that a forward pass uses; the towers hold CLIP's own logit scale, which X-CLIP's replaces."""
        named = self.model.named_parameters()
        return [parameter for name, parameter in named if name != "towers.clip.logit_scale"]

    def _empty(self) -> torch.Tensor:
        side = self.model.sizes.clip.image
        return torch.zeros(1, 3, side, side)


def _batches(bunches: Sequence[Bunch], size: int) -> Iterator[list[int]]:
    """Yield bunches that fill a batch; no two scenes of it mean the same."""
    chooser = np.random.Generator(np.random.PCG64(2))
    while True:
        chosen: list[int] = []
        meanings: set[object] = set()
        while len(meanings) < size:
            index = int(chooser.integers(0, len(bunches)))
            new = {example.scene.meaning() for example in bunches[index]}
            if not new & meanings:
                chosen.append(index)
                meanings |= new
        yield chosen
