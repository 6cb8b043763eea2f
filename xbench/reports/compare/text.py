"""A comparison of runs as text, Markdown, LaTeX or JSON."""

import json
import textwrap
from dataclasses import asdict
from typing import Any, Literal

from tabulate import tabulate

from xbench.metrics.significance import ALPHA
from xbench.reports.compare.paired import Comparison, Contrast, Versus
from xbench.reports.escape import escape_latex, escape_markdown
from xbench.reports.record.text import WIDTH, signed

Format = Literal["text", "md", "latex", "json"]
_STYLES = {"text": "simple", "md": "pipe", "latex": "latex_booktabs"}
_HEADER = ["", "", "first", "second", "diff", "95% interval", "p", "p Holm", "wins", "resolves"]


def render_comparison(comparison: Comparison, style: Format = "text") -> str:
    """Return the comparison in a format. `*` marks differences that are significant after Holm."""
    if style == "json":
        return json.dumps(_as_dict(comparison), indent=2)
    blocks = [_paragraph(line, style) for line in _head(comparison)]
    for versus in comparison.versus:
        blocks += [_paragraph(f"second: {versus.other}", style), _table(versus, style)]
    blocks += [_paragraph(line, style) for line in [*_legend(comparison), *comparison.notes]]
    return ("\n" if style == "text" else "\n\n").join(blocks)


def _head(comparison: Comparison) -> list[str]:
    sizes = f"{comparison.captions} captions, {comparison.videos} videos"
    return [f"{comparison.protocol}: {sizes}", f"first: {comparison.baseline}"]


def _table(versus: Versus, style: Format) -> str:
    rows = [_cells(contrast) for contrast in versus.contrasts]
    align = ["left", "left", *["right"] * (len(_HEADER) - 2)]
    return tabulate(rows, _HEADER, tablefmt=_STYLES[style], disable_numparse=True, colalign=align)


def _cells(contrast: Contrast) -> list[str]:
    measure = contrast.measure
    digits = measure.digits
    resolves = "-" if contrast.resolvable is None else measure.format(contrast.resolvable)
    return [
        contrast.direction,
        str(measure),
        measure.format(contrast.first),
        measure.format(contrast.second),
        f"{signed(contrast.difference, digits)}{'*' if contrast.p_holm < ALPHA else ''}",
        f"{signed(contrast.low, digits)} to {signed(contrast.high, digits)}",
        format_p(contrast.p),
        format_p(contrast.p_holm),
        f"{contrast.wins_first}:{contrast.wins_second}",
        resolves,
    ]


def format_p(value: float) -> str:
    """Print a p-value with three decimals and no leading zero."""
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _legend(comparison: Comparison) -> list[str]:
    contrasts = [contrast for versus in comparison.versus for contrast in versus.contrasts]
    tests = {f"{c.direction} {c.measure}": c.test for c in contrasts}
    by_test: dict[str, list[str]] = {}
    for name, test in tests.items():
        by_test.setdefault(test, []).append(name)
    said = "; ".join(f"{test} ({', '.join(names)})" for test, names in by_test.items())
    together = " Captions of one video are resampled and tested together." if comparison.clustered else ""
    return [
        f"diff: second minus first, 95% interval by bootstrap over the same queries.{together} p: {said}."
        f" Holm over {len(contrasts)} tests; * marks p Holm < {ALPHA:g}. wins: queries that the first and"
        " the second rank better. resolves: the smallest difference that this set finds with 80%"
        " probability.",
    ]


def _paragraph(line: str, style: Format) -> str:
    if style == "text":
        return textwrap.fill(line, WIDTH, subsequent_indent="  ")
    return escape_latex(line) if style == "latex" else escape_markdown(line)


def _as_dict(comparison: Comparison) -> dict[str, Any]:
    found = asdict(comparison)
    found["versus"] = [
        {
            "other": versus.other,
            "contrasts": [
                asdict(each)
                | {
                    "measure": str(each.measure),
                    "difference": each.difference,
                    "significant": each.p_holm < ALPHA,
                }
                for each in versus.contrasts
            ],
        }
        for versus in comparison.versus
    ]
    return found
