"""Charts as SVG: where each shape stands; colours come from the page's style, to follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from xbench.reports.pages import render

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 76, 24, 50
_LEGEND_LINE = 20
SERIES = 8
"""Runs that a chart tells apart."""


@dataclass(frozen=True)
class Shape:
    """An SVG element: `text` stands in it, `hint` shows when one points at it."""

    kind: str
    attributes: dict[str, str] = field(default_factory=dict)
    hint: str = ""
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A figure with what is said below it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Line:
    """A curve with its band. x from 1, y and band in percent."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def line_chart(title: str, lines: Sequence[Line], x_label: str, *, named_below: bool = False) -> Markup:
    """Draw curves over a logarithmic x axis, each named at its right end, or below, for long names."""
    last = max(max(line.x) for line in lines)
    ticks = [tick for power in range(7) for tick in (10**power, 2 * 10**power, 5 * 10**power) if tick <= last]
    shapes = [*_y_axis(100), *(_x_tick(_log_x(tick, last), f"{tick:,}") for tick in ticks), _x_label(x_label)]
    ends = _spread([_y(line.y[-1], 100) for line in lines])
    for index, (line, end) in enumerate(zip(lines, ends, strict=True)):
        shapes += _curve(line, last, index)
        shapes += [] if named_below else [_name(end + 5, line.name, index)]
    return _with_legend(title, shapes, [line.name for line in lines] if named_below else [])


def bar_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    x_label: str,
    *,
    named_below: bool = False,
) -> Markup:
    """Draw groups of bars, heights in percent, with a legend in the corner, or below, for long names."""
    top = _nice(max(max(values) for _, values in series))
    group = (WIDTH - _LEFT - _RIGHT) / len(labels)
    bar = 0.8 * group / len(series)
    shapes = [*_y_axis(top), _x_label(x_label)]
    for position, label in enumerate(labels):
        shapes.append(_x_tick(_LEFT + (position + 0.5) * group, label))
        for index, (name, values) in enumerate(series):
            x, y = _LEFT + position * group + 0.1 * group + index * bar, _y(values[position], top)
            box = _box(x, y, bar * 0.94, HEIGHT - _BOTTOM - y)
            hint = f"{name}, rank {label}: {values[position]:.1f}%"
            shapes.append(Shape("rect", {**box, "class": f"bar s{index}"}, hint))
    names = [name for name, _ in series]
    if named_below:
        return _with_legend(title, shapes, names)
    shapes += [_name(_TOP + 16 + 20 * index, name, index) for index, name in enumerate(names)]
    return svg(title, shapes)


def _with_legend(title: str, shapes: Sequence[Shape], names: Sequence[str]) -> Markup:
    """A picture with a line for each name below it."""
    legend = []
    for index, name in enumerate(names):
        y = HEIGHT + _LEGEND_LINE * index + 10.0
        ends = {"x1": f"{_LEFT}", "x2": f"{_LEFT + 36}", "y1": f"{y - 4:.1f}", "y2": f"{y - 4:.1f}"}
        legend.append(Shape("line", {**ends, "class": f"line s{index}"}))
        legend.append(_text(_LEFT + 44, y, name, f"name s{index}"))
    return svg(title, [*shapes, *legend], (WIDTH, HEIGHT + _LEGEND_LINE * len(names)))


def grid_chart(
    title: str, labels: Sequence[str], cells: Sequence[Sequence[float]], axes: tuple[str, str]
) -> Markup:
    """Draw a square grid of percentages, darker for more. cells[row][column]; axes: (columns, rows)."""
    side = (HEIGHT - _TOP - _BOTTOM) / len(labels)
    width = (WIDTH - _LEFT - _RIGHT) / len(labels)
    most = max(max(row) for row in cells) or 1.0
    shapes = [_x_label(axes[0]), _text(_LEFT, _TOP - 3, axes[1], "axis")]
    for row, values in enumerate(cells):
        y = _TOP + row * side
        shapes.append(_text(_LEFT - 6, y + side / 2 + 4, labels[row], "axis", "end"))
        shapes.append(_x_tick(_LEFT + (row + 0.5) * width, labels[row]))
        for column, value in enumerate(values):
            x = _LEFT + column * width
            strength = f"{0.06 + 0.94 * math.sqrt(value / most) if value else 0:.2f}"
            hint = f"{axes[0]} {labels[column]}, {axes[1]} {labels[row]}: {value:.1f}%"
            box = _box(x, y, width - 1, side - 1)
            shapes.append(Shape("rect", {**box, "class": "cell", "fill-opacity": strength}, hint))
            if value >= 1:
                shade = "inside" if value / most > 0.6 else "inside faint"
                shapes.append(_text(x + width / 2, y + side / 2 + 4, f"{value:.0f}", shade, "middle"))
    return svg(title, shapes)


def svg(title: str, shapes: Sequence[Shape], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Markup:
    """Return shapes as a picture with a title. size: width and height."""
    return render("chart.svg", title=title, shapes=shapes, width=size[0], height=size[1])


def _curve(line: Line, last: float, index: int) -> list[Shape]:
    """A line with its band, and a dot that tells its value at each point."""
    xs = [f"{_log_x(x, last):.1f}" for x in line.x]
    ys, upper, lower = (
        [f"{_y(value, 100):.1f}" for value in values] for values in (line.y, line.high, line.low)
    )
    points = [f"{x},{y}" for x, y in zip(xs, ys, strict=True)]
    band = [f"{x},{y}" for x, y in zip([*xs, *reversed(xs)], [*upper, *reversed(lower)], strict=True)]
    shapes = [
        Shape("polygon", {"points": " ".join(band), "class": f"band s{index}"}),
        Shape("polyline", {"points": " ".join(points), "class": f"line s{index}"}),
    ]
    for x, y, k, value, low, high in zip(xs, ys, line.x, line.y, line.low, line.high, strict=True):
        hint = f"{line.name} R@{k:g}: {value:.1f} ({low:.1f} to {high:.1f})"
        shapes.append(Shape("circle", {"cx": x, "cy": y, "r": "3.5", "class": f"dot s{index}"}, hint))
    return shapes


def _y_axis(top: float) -> list[Shape]:
    shapes = []
    for step in range(5):
        value = top * step / 4
        y = _y(value, top)
        ends = {"x1": f"{_LEFT}", "x2": f"{WIDTH - _RIGHT}", "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        shapes.append(Shape("line", {"class": "grid", **ends}))
        shapes.append(_text(_LEFT - 6, y + 4, f"{value:g}{'%' if step == 4 else ''}", "axis", "end"))
    return shapes


def _x_tick(x: float, label: str) -> Shape:
    return _text(x, HEIGHT - _BOTTOM + 18, label, "axis", "middle")


def _x_label(label: str) -> Shape:
    return _text((WIDTH + _LEFT - _RIGHT) / 2, HEIGHT - 6, label, "axis", "middle")


def _name(y: float, name: str, index: int) -> Shape:
    return _text(WIDTH - _RIGHT + 8, y, name, f"name s{index}")


def _box(x: float, y: float, width: float, height: float) -> dict[str, str]:
    return {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}


def _text(x: float, y: float, content: str, style: str, anchor: str = "start") -> Shape:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": style, "text-anchor": anchor}
    return Shape("text", place, text=content)


def _log_x(x: float, last: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (math.log(x) / math.log(last) if last > 1 else 0.0)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top


def _nice(value: float) -> float:
    """The next of 4, 8, 20, 40, 80, 100 percent: quarters of it are round."""
    return next((top for top in (4.0, 8.0, 20.0, 40.0, 60.0, 80.0) if value <= top), 100.0)


def _spread(positions: Sequence[float]) -> list[float]:
    """Move labels apart that would overlap."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = list(positions)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + 18)
    return moved
