"""Charts as SVG: colours come from the page's style, so that they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from xbench.reports.pages import tag

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 76, 24, 50


@dataclass(frozen=True)
class Line:
    """A curve with its band. x from 1, y and band in percent."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def line_chart(title: str, lines: Sequence[Line], x_label: str) -> str:
    """Draw curves over a logarithmic x axis, each named at its right end."""
    last = max(max(line.x) for line in lines)
    ticks = [tick for power in range(7) for tick in (10**power, 2 * 10**power, 5 * 10**power) if tick <= last]
    parts = [_y_axis(100), *(_x_tick(_log_x(tick, last), f"{tick:,}") for tick in ticks), _x_label(x_label)]
    ends = _spread([_y(line.y[-1], 100) for line in lines])
    for index, (line, end) in enumerate(zip(lines, ends, strict=True)):
        xs = [_log_x(x, last) for x in line.x]
        upper = [f"{x:.1f},{_y(y, 100):.1f}" for x, y in zip(xs, line.high, strict=True)]
        lower = [f"{x:.1f},{_y(y, 100):.1f}" for x, y in zip(xs, line.low, strict=True)]
        points = " ".join(f"{x:.1f},{_y(y, 100):.1f}" for x, y in zip(xs, line.y, strict=True))
        parts.append(tag("polygon", points=" ".join([*upper, *reversed(lower)]), class_=f"band s{index}"))
        parts.append(tag("polyline", points=points, class_=f"line s{index}"))
        for x, k, y, low, high in zip(xs, line.x, line.y, line.low, line.high, strict=True):
            hint = f"{line.name} R@{k:g}: {y:.1f} ({low:.1f} to {high:.1f})"
            parts.append(_dot(x, _y(y, 100), hint, index))
        parts.append(_text(WIDTH - _RIGHT + 8, end + 5, line.name, class_=f"name s{index}"))
    return _svg(title, parts)


def bar_chart(
    title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], x_label: str
) -> str:
    """Draw groups of bars, heights in percent, with a legend in the corner."""
    top = _nice(max(max(values) for _, values in series))
    group = (WIDTH - _LEFT - _RIGHT) / len(labels)
    bar = 0.8 * group / len(series)
    parts = [_y_axis(top), _x_label(x_label)]
    for position, label in enumerate(labels):
        parts.append(_x_tick(_LEFT + (position + 0.5) * group, label))
        for index, (name, values) in enumerate(series):
            x, y = _LEFT + position * group + 0.1 * group + index * bar, _y(values[position], top)
            hint = tag("title", escape(f"{name}, rank {label}: {values[position]:.1f}%"))
            size = {"width": f"{bar * 0.94:.1f}", "height": f"{HEIGHT - _BOTTOM - y:.1f}"}
            parts.append(tag("rect", hint, x=f"{x:.1f}", y=f"{y:.1f}", class_=f"bar s{index}", **size))
    for index, (name, _) in enumerate(series):
        parts.append(_text(WIDTH - _RIGHT + 8, _TOP + 16 + 20 * index, name, class_=f"name s{index}"))
    return _svg(title, parts)


def grid_chart(
    title: str, labels: Sequence[str], cells: Sequence[Sequence[float]], axes: tuple[str, str]
) -> str:
    """Draw a square grid of percentages, darker for more. cells[row][column]; axes: (columns, rows)."""
    side = (HEIGHT - _TOP - _BOTTOM) / len(labels)
    width = (WIDTH - _LEFT - _RIGHT) / len(labels)
    most = max(max(row) for row in cells) or 1.0
    parts = [_x_label(axes[0]), _text(_LEFT, _TOP - 3, axes[1], class_="axis")]
    for row, values in enumerate(cells):
        y = _TOP + row * side
        parts.append(_text(_LEFT - 6, y + side / 2 + 4, labels[row], class_="axis", text_anchor="end"))
        parts.append(_x_tick(_LEFT + (row + 0.5) * width, labels[row]))
        for column, value in enumerate(values):
            x, hint = (
                _LEFT + column * width,
                f"{axes[0]} {labels[column]}, {axes[1]} {labels[row]}: {value:.1f}%",
            )
            box = {"width": f"{width - 1:.1f}", "height": f"{side - 1:.1f}"}
            strength = f"{0.06 + 0.94 * math.sqrt(value / most) if value else 0:.2f}"
            cell = tag("title", escape(hint))
            parts.append(
                tag("rect", cell, x=f"{x:.1f}", y=f"{y:.1f}", class_="cell", fill_opacity=strength, **box)
            )
            if value >= 1:
                shade = "inside" if value / most > 0.3 else "inside faint"
                parts.append(
                    _text(x + width / 2, y + side / 2 + 4, f"{value:.0f}", class_=shade, text_anchor="middle")
                )
    return _svg(title, parts)


def _svg(title: str, parts: Sequence[str]) -> str:
    inside = tag("title", escape(title)) + "".join(parts)
    return tag("svg", inside, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart")


def _y_axis(top: float) -> str:
    parts = []
    for step in range(5):
        value = top * step / 4
        y = _y(value, top)
        ends = {"x1": str(_LEFT), "x2": str(WIDTH - _RIGHT), "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        parts.append(tag("line", class_="grid", **ends))
        unit = "%" if step == 4 else ""
        parts.append(_text(_LEFT - 6, y + 4, f"{value:g}{unit}", class_="axis", text_anchor="end"))
    return "".join(parts)


def _x_tick(x: float, label: str) -> str:
    return _text(x, HEIGHT - _BOTTOM + 18, label, class_="axis", text_anchor="middle")


def _x_label(label: str) -> str:
    return _text((WIDTH + _LEFT - _RIGHT) / 2, HEIGHT - 6, label, class_="axis", text_anchor="middle")


def _dot(x: float, y: float, hint: str, index: int) -> str:
    title = tag("title", escape(hint))
    return tag("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.5", class_=f"dot s{index}")


def _text(x: float, y: float, content: str, **attributes: str | None) -> str:
    return tag("text", escape(content), x=f"{x:.1f}", y=f"{y:.1f}", **attributes)


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
