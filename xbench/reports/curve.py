"""A number over checkpoints, with its intervals: as a line of text and as SVG."""

from collections.abc import Sequence

from markupsafe import Markup
from tabulate import tabulate

from xbench.metrics.measures import Measure
from xbench.reports.page.charts import HEIGHT, WIDTH, Shape, svg
from xbench.reports.record.files import Measurement
from xbench.shown import visible
from xbench.terms import Direction

_BLOCKS = "▁▂▃▄▅▆▇█"
_EDGE = 60


def sparkline(values: Sequence[float]) -> str:
    """Return a character for each value, from the lowest to the highest."""
    low, high = min(values), max(values)
    steps = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return "".join(_BLOCKS[round(step * (len(_BLOCKS) - 1))] for step in steps)


def render_candidates(
    candidates: Sequence[Measurement], direction: Direction, measure: Measure, best: int, on: str
) -> str:
    """Return a table of all candidates with their intervals, and the curve as a line."""
    metrics = [each.record.metrics[direction][str(measure)] for each in candidates]
    rows = []
    for index, (each, metric) in enumerate(zip(candidates, metrics, strict=True)):
        bounds = (metric.low, metric.high)
        interval = " - ".join(measure.format(bound) for bound in bounds if bound is not None)
        name = visible(each.record.label or each.file)
        rows.append([str(index + 1), name, measure.format(metric.value), interval, "best" * (index == best)])
    header = ["", "candidate", f"{direction} {measure}", "95%", ""]
    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True)
    line = sparkline([metric.value for metric in metrics])
    return f"{len(candidates)} candidates on {on}\n{table}\n{line}"


def curve_svg(candidates: Sequence[Measurement], direction: Direction, measure: Measure, best: int) -> Markup:
    """Draw each candidate's value with its 95% interval, in order; the chosen one is filled."""
    metrics = [each.record.metrics[direction][str(measure)] for each in candidates]
    lows = [metric.value if metric.low is None else metric.low for metric in metrics]
    highs = [metric.value if metric.high is None else metric.high for metric in metrics]
    bottom = min(lows)
    top = max(*highs, bottom + 1e-9)

    def y(value: float) -> str:
        return f"{HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * (value - bottom) / (top - bottom):.1f}"

    shapes = []
    for index, (each, metric) in enumerate(zip(candidates, metrics, strict=True)):
        x = f"{_EDGE + (WIDTH - 2 * _EDGE) * (index + 0.5) / len(candidates):.1f}"
        name = each.record.label or each.file
        hint = f"{name}: {measure.format(metric.value)}"
        ends = {"x1": x, "x2": x, "y1": y(lows[index]), "y2": y(highs[index])}
        shapes.append(Shape("line", ends | {"stroke": "currentColor"}))
        filled = "currentColor" if index == best else "white"
        place = {"cx": x, "cy": y(metric.value), "r": "5", "stroke": "currentColor", "fill": filled}
        shapes.append(Shape("circle", place, hint))
        shapes.append(_text(x, HEIGHT - _EDGE / 2, str(index + 1)))
    shapes += [_text(_EDGE / 2, y(value), measure.format(value)) for value in (bottom, top)]
    return svg(f"{direction} {measure} over {len(candidates)} checkpoints, with 95% intervals", shapes)


def _text(x: float | str, y: float | str, text: str) -> Shape:
    return Shape(
        "text", {"x": str(x), "y": str(y), "text-anchor": "middle", "fill": "currentColor"}, text=text
    )
