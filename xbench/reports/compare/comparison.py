"""A comparison of runs as values that print themselves: as text, Markdown, LaTeX or JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tabulate import tabulate

from xbench.metrics.measures import Measure
from xbench.metrics.significance import ALPHA
from xbench.reports.compare.latex import render_latex
from xbench.reports.pages import Table, notebook
from xbench.reports.record.text import fill, format_p, signed
from xbench.shown import for_markdown
from xbench.terms import Direction

Format = Literal["text", "md", "latex", "json"]
_STYLES = {"text": "simple", "md": "pipe"}
_HEADER = ["", "", "first", "second", "diff", "95% interval", "p", "p Holm", "wins", "resolves"]


@dataclass(frozen=True)
class Contrast:
    """One measure of one direction: `first` the baseline, `second` the other run.

    difference: second minus first, with its 95% interval over paired resamples. p: of `test`, two-sided.
    p_holm: adjusted over all contrasts of the comparison. p_worse: one-sided, that the second is worse.
    wins_first, wins_second: queries that each run ranks better by this measure. resolvable: the smallest
    difference that this set finds with 80% probability at the level 0.05; None where nothing varies.
    """

    direction: Direction
    measure: Measure
    first: float
    second: float
    low: float
    high: float
    test: str
    p: float
    p_holm: float
    p_worse: float
    wins_first: int
    wins_second: int
    resolvable: float | None

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def worsening(self) -> float:
        """How much worse the second run is: positive for a lower recall and for a higher rank."""
        return -self.difference if self.measure.higher_is_better else self.difference


@dataclass(frozen=True)
class Versus:
    """The baseline against one other run."""

    other: str
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Comparison:
    """All runs against the first."""

    baseline: str
    protocol: str
    captions: int
    videos: int
    clustered: bool
    """Whether captions were taken together by video in text-to-video."""
    versus: tuple[Versus, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Return the table of `xbench compare`."""
        return self.render()

    def _repr_html_(self) -> str:
        """Return the tables for a notebook."""
        tables = [
            Table(_HEADER, [_cells(each) for each in versus.contrasts], [f"second: {versus.other}"])
            for versus in self.versus
        ]
        return notebook("; ".join(_head(self)), tables, [*_legend(self), *self.notes])

    def render(self, style: Format = "text") -> str:
        """Return the comparison in a format. `*` marks differences that are significant after Holm."""
        if style == "json":
            return json.dumps(_as_dict(self), indent=2)
        if style == "latex":
            cells = [[_cells(each) for each in versus.contrasts] for versus in self.versus]
            return render_latex(self, _HEADER, cells, [*_head(self)[:1], *_legend(self), *self.notes])
        blocks = [_paragraph(line, style) for line in _head(self)]
        for versus in self.versus:
            blocks += [_paragraph(f"second: {versus.other}", style), _table(versus, style)]
        blocks += [_paragraph(line, style) for line in [*_legend(self), *self.notes]]
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
    return for_markdown(line) if style == "md" else fill(line)


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
