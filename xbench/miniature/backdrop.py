"""The backdrops: quiet landscapes with details that vary from clip to clip and that no caption tells."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xbench.miniature.colour import yuv
from xbench.miniature.dice import Dice

WIDTH, HEIGHT = 128, 96
"""Pixels of a clip; the actors stay in the central square."""

Rgb = tuple[int, int, int]
Picture = NDArray[np.int32]


@lru_cache(maxsize=64)
def backdrop(name: str, variant: int) -> NDArray[np.uint8]:
    """Return a backdrop as I420 planes, uint8 [HEIGHT * 3 / 2, WIDTH]; not to be written to."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), dtype=np.int32)
    BACKDROPS[name](rgb, Dice(f"backdrop {name} {variant}"))
    planes = yuv(rgb)
    coarse = planes.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).sum(axis=(1, 3)) // 4
    chroma = coarse[..., 1:].transpose(2, 0, 1).reshape(-1, WIDTH)
    picture = np.concatenate([planes[..., 0], chroma]).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def _fade(picture: Picture, top: Rgb, bottom: Rgb, first: int = 0, last: int = HEIGHT) -> None:
    """Fill the rows from `first` to `last` with a vertical gradient."""
    steps = np.arange(last - first)[:, None] * 256 // (last - first)
    rows = (np.array(top) * (256 - steps) + np.array(bottom) * steps) // 256
    picture[first:last] = rows[:, None, :]


def _disc(picture: Picture, x: int, y: int, radius: int, colour: Rgb) -> None:
    down, across = np.ogrid[:HEIGHT, :WIDTH]
    picture[(across - x) ** 2 + (down - y) ** 2 <= radius * radius] = colour


def _hill(picture: Picture, x: int, y: int, flatness: int, colour: Rgb) -> None:
    """A parabola with its summit at (x, y), filled downwards."""
    down, across = np.ogrid[:HEIGHT, :WIDTH]
    picture[down >= y + (across - x) ** 2 // flatness] = colour


def _night(picture: Picture, dice: Dice) -> None:
    _fade(picture, (16, 20, 54), (44, 48, 96))
    for _ in range(26):
        picture[dice.below(HEIGHT - 20), dice.below(WIDTH)] = (206, 206, 190)
    moon = 14 + dice.below(100)
    _disc(picture, moon, 12, 7, (232, 228, 190))
    _disc(picture, moon + 3, 10, 6, (20, 25, 60))
    _hill(picture, dice.below(WIDTH), 84, 220, (22, 26, 48))


def _sea(picture: Picture, dice: Dice) -> None:
    _fade(picture, (196, 226, 240), (226, 240, 240), last=56)
    _fade(picture, (112, 176, 196), (70, 136, 164), first=56)
    _disc(picture, 12 + dice.below(104), 13, 7, (252, 240, 196))
    for _ in range(14):
        y, x = 60 + dice.below(34), dice.below(WIDTH - 8)
        picture[y, x : x + 8] = (176, 216, 224)


def _meadow(picture: Picture, dice: Dice) -> None:
    _fade(picture, (206, 230, 240), (236, 242, 228))
    _hill(picture, dice.below(WIDTH), 52, 160, (176, 206, 150))
    _hill(picture, dice.below(WIDTH), 64, 300, (150, 190, 122))
    for _ in range(20):
        y, x = 74 + dice.below(21), dice.below(WIDTH - 1)
        picture[y, x : x + 2] = dice.pick(((250, 250, 240), (240, 210, 130), (226, 170, 190)))


def _desert(picture: Picture, dice: Dice) -> None:
    _fade(picture, (250, 218, 180), (252, 236, 208))
    _disc(picture, 14 + dice.below(100), 16, 9, (255, 246, 222))
    _hill(picture, dice.below(WIDTH), 58, 130, (226, 188, 138))
    _hill(picture, dice.below(WIDTH), 70, 320, (210, 168, 116))


def _snow(picture: Picture, dice: Dice) -> None:
    _fade(picture, (150, 166, 184), (190, 202, 212))
    _hill(picture, dice.below(WIDTH), 42, 36, (172, 184, 198))
    _hill(picture, dice.below(WIDTH), 66, 420, (226, 232, 238))
    for _ in range(46):
        picture[dice.below(HEIGHT), dice.below(WIDTH)] = (244, 248, 250)


def _city(picture: Picture, dice: Dice) -> None:
    _fade(picture, (170, 150, 178), (232, 188, 172))
    for x in range(0, WIDTH, 16):
        top = 44 + dice.below(30)
        picture[top:, x : x + 15] = (98, 92, 112)
        for y in range(top + 4, HEIGHT - 3, 8):
            if dice.chance(0.6):
                picture[y : y + 3, x + 3 + 6 * dice.below(2)] = (236, 214, 150)


BACKDROPS: dict[str, Callable[[Picture, Dice], None]] = {
    "night": _night,
    "sea": _sea,
    "meadow": _meadow,
    "desert": _desert,
    "snow": _snow,
    "city": _city,
}
