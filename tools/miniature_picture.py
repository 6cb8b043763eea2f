"""Draws docs/miniature.png, or a contact sheet of a whole miniature benchmark.

python tools/miniature_picture.py docs/miniature.png
python tools/miniature_picture.py sheet.png --dataset didemo
"""

import argparse
import textwrap
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from xbench.miniature.backdrop import HEIGHT, WIDTH
from xbench.miniature.benchmarks import MANNERS, Clip, clips
from xbench.miniature.drawing import frame

FRAMES, GAP, LINE, COLUMNS = 6, 4, 15, 2
ROOM = FRAMES * (WIDTH + GAP)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dataset", choices=MANNERS, help="all clips of one benchmark")
    arguments = parser.parse_args()
    shown = in_groups(arguments.dataset) if arguments.dataset else chosen()
    sheet(shown).quantize(128, dither=Image.Dither.NONE).save(arguments.picture, optimize=True)


def chosen() -> list[Clip]:
    """Two groups of four: one whose clips differ in direction, one whose clips differ in order too."""
    return in_groups("msrvtt")[24:28] + in_groups("didemo")[32:36]


def in_groups(benchmark: str) -> list[Clip]:
    """All clips, those of a group beside each other, groups first."""
    return sorted(clips(benchmark), key=lambda clip: (clip.group < 0, clip.group))


def sheet(shown: list[Clip]) -> Image.Image:
    """Film strips with their captions, two beside each other."""
    strips = [strip(clip) for clip in shown]
    rows = -(-len(strips) // COLUMNS)
    height = max(picture.height for picture in strips)
    page = Image.new("RGB", (COLUMNS * (ROOM + 3 * GAP), rows * (height + 2 * GAP)), "white")
    for number, picture in enumerate(strips):
        row, column = number % rows, number // rows
        page.paste(picture, (column * (ROOM + 3 * GAP) + GAP, row * (height + 2 * GAP) + GAP))
    return page


def strip(clip: Clip) -> Image.Image:
    """FRAMES frames of a clip, evenly spread, above its first caption or its paragraph."""
    lines = textwrap.wrap(caption_of(clip), 118)[:2]
    picture = Image.new("RGB", (ROOM, HEIGHT + 2 * LINE), "white")
    for column, time in enumerate(np.linspace(0, clip.scene.seconds - 0.5, FRAMES)):
        still = av.VideoFrame.from_ndarray(frame(clip.scene, float(time)), format="yuv420p").to_image()
        picture.paste(still, (column * (WIDTH + GAP), 0))
    ImageDraw.Draw(picture).text((2, HEIGHT + 1), "\n".join(lines), "black", ImageFont.load_default(12))
    return picture


def caption_of(clip: Clip) -> str:
    """A long scene is told in a sentence an act, any other in each of its sentences."""
    return ", ".join(clip.sentences) if clip.scene.seconds >= 12 else clip.sentences[0]


if __name__ == "__main__":
    main()
