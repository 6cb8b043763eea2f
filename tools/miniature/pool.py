"""Training clips as arrays: drawn, sampled and transformed as the harness does with files."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import torch
from numpy.typing import NDArray

from xbench.miniature.benchmarks import MANNERS, Manner, clips, told
from xbench.miniature.captions import caption
from xbench.miniature.dice import Dice
from xbench.miniature.drawing import frame
from xbench.miniature.grammar import four, single
from xbench.miniature.rendering import FPS
from xbench.miniature.scene import Scene
from xbench.scorers.base import VideoInput
from xbench.video.decode import normalise, resize_and_crop
from xbench.video.positions import cut, published_positions

FRAMES, WORDS, SIZE = 12, 32, 64
_INPUT = VideoInput(size=SIZE, max_frames=FRAMES)


@dataclass(frozen=True)
class Example:
    """A training scene, which benchmark's manner it is told in, and when its frames are taken."""

    scene: Scene
    manner: Manner

    @property
    def times(self) -> list[float]:
        """Seconds of the frames that the published sampling takes from the clip."""
        count = self.scene.seconds * FPS
        positions = [at for at in published_positions(count, FPS, None) if at < count]
        return [positions[index] / FPS for index in cut(len(positions), FRAMES)]

    def text(self, dice: Dice) -> str:
        """Tell the scene, in other words each time."""
        if self.manner.style.long:
            return " ".join(told(self.scene, self.manner, dice))
        return caption(self.scene, self.manner.voice, dice)

    def pixels(self) -> NDArray[np.uint8]:
        """Draw the frames: uint8 [F, 3, SIZE, SIZE]."""
        return np.stack([to_pixels(frame(self.scene, time)) for time in self.times])


Bunch = list[Example]
"""One scene, or four that differ only in direction or order and belong in one batch."""


@dataclass(frozen=True)
class Drawn:
    """Bunches of training scenes; all their frames, uint8 [N, 3, SIZE, SIZE]; and those by bunch and clip."""

    bunches: list[Bunch]
    frames: NDArray[np.uint8]
    pixels: list[list[NDArray[np.uint8]]]


def draw(seed: int, clips_wanted: int) -> Drawn:
    """Draw at least so many training clips."""
    source, chosen = bunches(seed), list[Bunch]()
    while sum(map(len, chosen)) < clips_wanted:
        chosen.append(next(source))
    examples = [example for bunch in chosen for example in bunch]
    frames = np.empty((sum(len(each.times) for each in examples), 3, SIZE, SIZE), dtype=np.uint8)
    views = iter(np.split(frames, np.cumsum([len(each.times) for each in examples])[:-1]))
    pixels = [[next(views) for _ in bunch] for bunch in chosen]
    for example, view in zip(examples, (view for bunch in pixels for view in bunch), strict=True):
        view[...] = example.pixels()
    return Drawn(chosen, frames, pixels)


def bunches(seed: int) -> Iterator[Bunch]:
    """Yield training scenes without end. None means the same as a scene of the five test galleries."""
    tested = {clip.scene.meaning() for benchmark in MANNERS for clip in clips(benchmark)}
    dice, manners = Dice(f"training {seed}"), tuple(MANNERS.values())
    while True:
        manner = dice.pick(manners)
        scenes = four(dice, manner.style) if dice.chance(0.4) else [single(dice, manner.style)]
        meanings = {scene.meaning() for scene in scenes}
        if len(meanings) == len(scenes) and not meanings & tested:
            yield [Example(scene, manner) for scene in scenes]


def to_pixels(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn I420 planes into uint8 RGB [3, SIZE, SIZE] as the harness transforms a decoded frame."""
    image = av.VideoFrame.from_ndarray(picture, format="yuv420p").to_image()
    return resize_and_crop(image, SIZE)


def normalised(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return float32 frames as the model sees them."""
    return normalise(torch.from_numpy(pixels), _INPUT.mean, _INPUT.std)
