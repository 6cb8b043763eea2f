"""A scorer and the made-up inputs that it is tried on."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from xbench.scorers.base import Features, Scorer
from xbench.scorers.verify.inputs import Videos, counts, noise_videos

TEXTS = (
    "a cat",
    "A dog runs through the grass — fast! Ünïcode, “quotes” & 🐶\n",
    "someone explains at great length what is going on " * 100,
)


NOISE = 200
"""Texts and videos of noise."""
_NOISE_FRAMES = 3
"""More than one, over which a text could pool; few, because there are many videos."""
_AT_ONCE = 8
_WORDS = ["red", "blue", "cat", "dog", "man", "woman", "child", "tree", "runs", "sings", "cooks", "jumps"]


class Trial:
    """A scorer with the inputs it is tried on, encoded once."""

    def __init__(self, scorer: Scorer, tolerance: float, folder: Path) -> None:
        """folder: for the files of made-up clips."""
        self.scorer, self.tolerance, self._folder = scorer, tolerance, folder

    @cached_property
    def videos(self) -> Videos:
        """Three videos of noise with all, half and one of the frames, padded as the harness does.

        All have all frames where the last one is repeated.
        """
        wants = self.scorer.video_input
        return noise_videos(wants, counts(wants), 0, self._folder)

    @cached_property
    def noise(self) -> tuple[Features, Features]:
        """The features of as many texts as videos that mean nothing."""
        wants = self.scorer.video_input
        random = np.random.default_rng(0)
        texts = [" ".join(random.choice(_WORDS, 6)) + f" {number}" for number in range(NOISE)]
        _, _, count = counts(wants, _NOISE_FRAMES)
        parts = [
            noise_videos(wants, [count] * _AT_ONCE, 1000 + start, self._folder).encode(self.scorer)
            for start in range(0, NOISE, _AT_ONCE)
        ]
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return self.scorer.encode_texts(texts), joined

    @cached_property
    def text(self) -> Features:
        return self.scorer.encode_texts(TEXTS)

    @cached_property
    def video(self) -> Features:
        return self.videos.encode(self.scorer)

    @cached_property
    def scores(self) -> torch.Tensor:
        return self.scorer.similarity(self.text, self.video)
