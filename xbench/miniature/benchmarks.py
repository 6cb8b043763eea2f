"""The clips and files of the miniature benchmarks, each in the manner that the benchmark's room tells."""

from collections.abc import Sequence
from dataclasses import dataclass

from xbench.data.benchmarks import room
from xbench.data.benchmarks.stand_in import Files, Manner
from xbench.miniature.captions import caption, paragraph
from xbench.miniature.dice import Dice
from xbench.miniature.grammar import gallery
from xbench.miniature.scene import Scene
from xbench.registry.datasets import benchmarks

GROUPS, SINGLES = 15, 60


STAND_INS = {name: found for name in benchmarks() if (found := room(name).stand_in) is not None}
"""The shipped benchmarks that have a miniature."""
MANNERS = {name: stand_in.manner for name, stand_in in STAND_INS.items()}


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


def file_names(benchmark: str, clips: Sequence[Clip]) -> list[str]:
    """Return the names of the video files, in the form that each benchmark's files have."""
    return [STAND_INS[benchmark].video_name(number, clip) for number, clip in enumerate(clips)]


def annotation_files(benchmark: str, clips: Sequence[Clip]) -> Files:
    """Return the annotation files of a benchmark, which its room reads."""
    return STAND_INS[benchmark].annotation_files(file_names(benchmark, clips), clips)
