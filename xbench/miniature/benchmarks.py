"""The five miniature benchmarks: how long their clips are, how they speak, which seed they are drawn from."""

from dataclasses import dataclass

from xbench.miniature.captions import Voice, caption, paragraph
from xbench.miniature.dice import Dice
from xbench.miniature.grammar import Style, gallery
from xbench.miniature.scene import Scene

GROUPS, SINGLES = 15, 60


@dataclass(frozen=True)
class Manner:
    """What tells one miniature benchmark from another. `captions` is (fewest, most) sentences of a video."""

    style: Style
    voice: Voice
    captions: tuple[int, int]


MANNERS = {
    "msrvtt": Manner(Style(7, 10), Voice(), (1, 1)),
    "msvd": Manner(Style(6, 9), Voice(continuous=True), (3, 7)),
    "lsmdc": Manner(Style(6, 8), Voice(sentences=True), (1, 1)),
    "didemo": Manner(Style(15, 15, long=True), Voice(brief=True), (3, 3)),
    "activitynet": Manner(Style(12, 20, long=True), Voice(brief=True, sentences=True), (3, 3)),
}


@dataclass(frozen=True)
class Clip:
    """A scene with its sentences. Clips of one group differ only in direction or order; -1: in no group."""

    scene: Scene
    sentences: tuple[str, ...]
    group: int


def clips(benchmark: str, split: str = "test", groups: int = GROUPS, singles: int = SINGLES) -> list[Clip]:
    """Return the clips of a miniature gallery, in random order; `split` is part of the seed."""
    manner = MANNERS[benchmark]
    seed = f"{benchmark} {split}"
    words = Dice(f"{seed} words")
    return [
        Clip(scene, told(scene, manner, words), group)
        for group, scene in gallery(seed, manner.style, groups, singles)
    ]


def told(scene: Scene, manner: Manner, dice: Dice) -> tuple[str, ...]:
    """Return the sentences of a scene: an act each when it is long, else different ways to tell it."""
    if manner.style.long:
        return tuple(paragraph(scene, manner.voice, dice))
    fewest, most = manner.captions
    wanted = fewest + dice.below(most - fewest + 1)
    # Some scenes can be told in a few ways only, so there may be fewer than wanted.
    tries = [caption(scene, manner.voice, dice) for _ in range(1 if most == 1 else 4 * wanted)]
    return tuple(dict.fromkeys(tries))[:wanted]
