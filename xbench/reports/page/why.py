"""Why a caption and a video have their score, to read and to look at."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup
from tabulate import tabulate

from xbench.metrics.explanation import PADDING, Explanation, Floats, Grid, Margin
from xbench.reports.page.charts import Shape, svg
from xbench.shown import visible

Format = Literal["text", "svg", "json"]
_COLUMNS = 12
"""Frames of a table that fits 100 columns; with more of them, pictures have no numbers in them either."""
_WORD = 14
_WIDTH, _LEFT, _RIGHT, _LINE = 660, 108, 80, 18
_BLUE, _ORANGE = (31, 95, 191), (194, 90, 0)
_STYLE = """
svg { background: #fff; color: #1c2230; font: 12px system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { background: #14171d; color: #e7eaf0; } }
text { fill: currentColor; }
"""


@dataclass(frozen=True, eq=False)
class Why:
    """A pair explained.

    row, column: the caption and the video as they stand in the run. own: whether the video is the caption's.
    explanation: its padding folded. seconds: when each frame of the video was taken. stored: the pair's score
    as the run saved it, before post-processing; None where that is not at hand.
    """

    row: int
    column: int
    caption: str
    video: str
    own: bool
    explanation: Explanation
    seconds: tuple[float, ...]
    stored: float | None

    @property
    def title(self) -> str:
        """The pair in a line."""
        return f"{self.caption} / {self.video} ({'right' if self.own else 'wrong'})"

    @property
    def picture(self) -> Markup:
        """Its grids, for a page."""
        return why_svg(self)

    @property
    def held(self) -> str:
        """What the sum of the parts was held against."""
        if self.stored is None:
            return "The run saved no score of this pair to hold the sum against."
        off = abs(self.explanation.score - self.stored)
        return f"The run saved {self.stored:.4f}: {off:.1g} from the sum of the parts."

    @property
    def words_shown(self) -> int:
        """How many words are no padding."""
        return sum(not word.startswith(PADDING) for word in self.explanation.words)

    @property
    def columns(self) -> list[str]:
        """A name for each frame of the grids."""
        names = [f"{second:.1f} s" for second in self.seconds]
        hidden = self.explanation.frames - len(names)
        return names + [PADDING] * hidden


def render_why(why: Why, style: Format = "text") -> str:
    """Return an explanation as text of at most 100 columns, as a picture, or as JSON."""
    if style == "svg":
        return str(why_svg(why, alone=True))
    return json.dumps(_as_dict(why), indent=2, ensure_ascii=False) if style == "json" else _text(why)


def _text(why: Why) -> str:
    found = why.explanation
    rows = [[part.name, f"{part.value:.4f}", f"{part.share:.4f}"] for part in found.parts]
    rows.append(["score", "", f"{found.score:.4f}"])
    align = ("left", "right", "right")
    parts = tabulate(
        rows, ["", "similarity", "adds"], tablefmt="simple", disable_numparse=True, colalign=align
    )
    head = [
        f"caption: {visible(' '.join(why.caption.split()))}",
        f"video: {visible(why.video)}, {'the right one' if why.own else 'a wrong one'}",
    ]
    return "\n".join(
        [*head, "", parts, why.held, *(block for grid in found.grids for block in _tables(why, grid))]
    )


def _tables(why: Why, grid: Grid) -> Iterator[str]:
    """A grid in tables of a few frames each, what is of words with the last, what is of frames below each."""
    names, words = why.columns, [visible(word)[:_WORD] for word in why.explanation.words]
    beside, below = grid.of_words, grid.of_frames
    yield f"\n{grid.name}"
    for start in range(0, len(names), _COLUMNS):
        part = slice(start, start + _COLUMNS)
        rows = [["seconds", *(name.removesuffix(" s") for name in names[part])]]
        rows += [[word, *map(_number, row[part])] for word, row in zip(words, grid.values, strict=True)]
        if beside and part.stop >= len(names):
            for row, last in zip(rows, [f"({beside.name})", *map(_number, beside.values)], strict=True):
                row.append(last)
        if below:
            rows.append([f"({below.name})", *map(_number, below.values[part])])
        columns = max(map(len, rows))
        align = ["left"] + ["right"] * (columns - 1)
        yield tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=align)


def _number(value: float) -> str:
    """Two digits, without the zero before the point."""
    text = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.1f}"
    return text.replace("-.00", ".00")


def _as_dict(why: Why) -> dict[str, Any]:
    found = why.explanation

    def margin(each: Margin | None) -> dict[str, Any] | None:
        return None if each is None else {"name": each.name, "values": each.values.tolist()}

    return {
        "caption": why.caption,
        "video": why.video,
        "right": why.own,
        "score": found.score,
        "stored": why.stored,
        "parts": [asdict(part) for part in found.parts],
        "words": list(found.words),
        "frames": why.columns,
        "grids": [
            {
                "name": grid.name,
                "values": grid.values.tolist(),
                "of_words": margin(grid.of_words),
                "of_frames": margin(grid.of_frames),
            }
            for grid in found.grids
        ],
    }


def why_svg(why: Why, *, alone: bool = False) -> Markup:
    """Draw the grids below each other; alone: a file of its own, with its style and the parts as text."""
    shapes: list[Shape] = [Shape("style", text=_STYLE)] if alone else []
    y = 6.0
    if alone:
        for line in (
            _text(why).split("\n\n")[0].splitlines()
            + [f"{part.name}: {part.value:.4f}, adds {part.share:.4f}" for part in why.explanation.parts]
            + [f"score {why.explanation.score:.4f}. {why.held}"]
        ):
            y += _LINE
            shapes.append(_label(8, y, line[:100]))
    for grid in why.explanation.grids:
        drawn, y = _grid(why, grid, y + 28)
        shapes += drawn
    return svg(f"Why: {why.title}", shapes, (_WIDTH, int(y + 12)))


def _grid(why: Why, grid: Grid, top: float) -> tuple[list[Shape], float]:
    """The shapes of a grid with its margins, and where they end."""
    names, words = why.columns, why.explanation.words
    width, height = (_WIDTH - _LEFT - _RIGHT) / len(names), len(words) * _LINE
    shapes = [_label(8, top - 8, grid.name, "heading")]
    every = max(1, round(len(names) / _COLUMNS))
    shapes += [
        _label(_LEFT + (column + 0.5) * width, top + 12, name.removesuffix(" s"), "axis", "middle")
        for column, name in enumerate(names)
        if column % every == 0
    ]
    top += _LINE
    shapes += [
        _label(_LEFT - 6, top + (row + 0.7) * _LINE, word[:_WORD], "axis", "end")
        for row, word in enumerate(words)
    ]
    most = float(np.abs(grid.values[: why.words_shown, : len(why.seconds)]).max(initial=0)) or 1.0
    shapes += _cells(grid.values, (_LEFT, top, width), most, numbers=len(names) <= _COLUMNS + 2)
    if grid.of_words:
        side = _WIDTH - _RIGHT + 4
        shapes.append(_label(_WIDTH - 2, top - 6, grid.of_words.name, "axis", "end"))
        shapes += _cells(grid.of_words.values[:, None], (side, top, _RIGHT - 8), most)
    if grid.of_frames:
        below = top + height + 4
        shapes.append(_label(_LEFT - 6, below + 0.7 * _LINE, grid.of_frames.name, "axis", "end"))
        numbers = len(names) <= _COLUMNS + 2
        shapes += _cells(grid.of_frames.values[None], (_LEFT, below, width), most, numbers=numbers)
        height += _LINE + 4
    return shapes, top + height


def _cells(
    values: Floats, place: tuple[float, float, float], most: float, *, numbers: bool = True
) -> list[Shape]:
    """A picture with a pixel for each value, and numbers on it. place: left, top, width of a cell."""
    left, top, width = place
    rows, columns = values.shape
    box = {"x": left, "y": top, "width": columns * width, "height": rows * _LINE}
    picture = {name: f"{value:.1f}" for name, value in box.items()} | {
        "href": f"data:image/png;base64,{_png(values / most)}",
        "preserveAspectRatio": "none",
        "style": "image-rendering:pixelated",
    }
    shapes = [Shape("image", picture)]
    if numbers:
        shapes += [
            _label(
                left + (column + 0.5) * width,
                top + (row + 0.7) * _LINE,
                _number(value),
                "cell-number",
                "middle",
            )
            for (row, column), value in np.ndenumerate(values)
        ]
    return shapes


def _png(strength: Floats) -> str:
    """Blue above zero, orange below, over whatever is behind: at most half opaque, for text to be read on."""
    from PIL import Image

    colours = np.where((strength >= 0)[..., None], _BLUE, _ORANGE)
    opacity = np.round(150 * np.clip(np.abs(strength), 0, 1))[..., None]
    stream = io.BytesIO()
    pixels = np.concatenate([colours, opacity], axis=-1).astype(np.uint8)
    Image.fromarray(pixels, "RGBA").save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _label(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> Shape:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor} | ({"class": style} if style else {})
    return Shape("text", place, text=text)
