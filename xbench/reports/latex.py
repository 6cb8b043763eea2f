"""Tables for a paper: booktabs, directions side by side, the best in bold, the second underlined."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xbench.shown import for_latex

NAME_WIDTH = 24
"""Characters of the first column, roughly."""
_NOTE_WIDTH = 95
_LONG_WORD = 16
_BETWEEN = "\\par\\medskip\n\n"
_A_PAGE = 48
_WIDEST = 12
_WIDE = 10
_ROOMY = 8
_LONGEST_TITLES = 64
"""Lines of a page; the most columns of numbers, more than which take from the names or need smaller print;
the characters above them."""


@dataclass(frozen=True)
class Block:
    """Columns under one heading, those of each direction side by side. columns: (direction, metrics)."""

    title: str
    columns: Sequence[tuple[str, Sequence[str]]]

    @property
    def width(self) -> int:
        """How many columns it has."""
        return sum(len(metrics) for _, metrics in self.columns)

    @property
    def title_width(self) -> int:
        """Characters of the longest part of its title, which breaks at slashes."""
        return max(map(len, self.title.split("/")))


@dataclass(frozen=True)
class Rows:
    """Rows of ready cells, the name first, and what is said above them; nothing if it is empty."""

    title: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Table:
    """A table, and the caption that a paper gives it."""

    blocks: Sequence[Block]
    groups: Sequence[Rows]
    caption: str = ""


def panels(blocks: Sequence[Block]) -> list[list[Block]]:
    """Cut blocks into as few lots as fit the width of a page."""
    found: list[list[Block]] = []
    for block in blocks:
        wider = [*(found[-1] if found else []), block]
        fits = sum(each.width for each in wider) <= _WIDEST
        if found and fits and sum(each.title_width for each in wider) <= _LONGEST_TITLES:
            found[-1] = wider
        else:
            found.append([block])
    return found


def document(tables: Sequence[Table], notes: Sequence[str], said: Sequence[str] = ()) -> str:
    """Return tables with the notes on all of them, below a comment that names the packages they need.

    Tables with captions float over both columns of a page, together with their notes, if they fit one.
    """
    room = _A_PAGE - (sum(map(_lines_of_note, notes)) if tables[0].caption else 0)
    floats = bool(tables[0].caption) and sum(map(_lines, tables)) <= room
    long = [not floats and _lines(each) > _A_PAGE for each in tables]
    packages = ",".join(["booktabs", *(["longtable"] if any(long) else [])])
    comment = [f"% needs \\usepackage{{{packages}}} in the preamble", *(f"% {line}" for line in said)]
    parts = [_table(each, long=as_long, floats=floats) for each, as_long in zip(tables, long, strict=True)]
    if floats:
        parts = [r"\begin{table*}[tp]", r"\centering", _BETWEEN.join(parts), _small(notes), r"\end{table*}"]
        return "\n".join([*comment, *parts])
    return "\n\n".join(["\n".join(comment), _BETWEEN.join(parts), _small(notes)])


def number(text: str, *, best: bool = False, second: bool = False, sign: str = "", below: str = "") -> str:
    """Return a number with its emphasis, a sign that takes no room from the column, and small print below."""
    shown = rf"\textbf{{{text}}}" if best else rf"\underline{{{text}}}" if second else text
    shown += rf"\rlap{{$^{{{sign}}}$}}" if sign else ""
    if not below:
        return shown
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{shown}\\[-2pt]{{\tiny {below}}}\end{{tabular}}"


def name(text: str) -> str:
    """Return a name that may break where names have no blanks, and in long words."""
    return " ".join(map(_word, text.split()))


def _word(text: str) -> str:
    parts = re.findall(rf"[^/_-]{{1,{_LONG_WORD}}}[/_-]?|[/_-]", text)
    broken = [for_latex(part) + ("{}" if part.endswith("-") else r"\allowbreak{}") for part in parts[:-1]]
    return "".join([*broken, *map(for_latex, parts[-1:])])


def cited(numbers: Sequence[int]) -> str:
    """Return the numbers of notes as they are cited: `[1--3, 7]`."""
    runs: list[list[int]] = [[numbers[0]]]
    for before, after in pairwise(numbers):
        if after == before + 1:
            runs[-1].append(after)
        else:
            runs.append([after])
    shown = [f"{run[0]}--{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"{{[}}{', '.join(shown)}{{]}}"


def _lines(table: Table) -> int:
    """About how many lines of a page it takes."""
    names = [row[0] for group in table.groups for row in group.rows]
    small = sum(r"\tiny" in "".join(row[1:]) for group in table.groups for row in group.rows)
    return 6 + sum(1 + len(for_latex(each)) // NAME_WIDTH for each in names) + small // 2


def _lines_of_note(note: str) -> int:
    return 1 + len(note) // _NOTE_WIDTH


def _small(lines: Sequence[str]) -> str:
    """Ready lines in small print, a paragraph each."""
    return "\n".join([r"{\par\smallskip\scriptsize\raggedright\noindent", *(f"{x}\\par" for x in lines), "}"])


def _table(table: Table, *, long: bool, floats: bool) -> str:
    width = sum(block.width for block in table.blocks)
    names, gap = (0.24, 2) if width <= _WIDE else (0.21, 1.5)
    columns = rf"@{{}}p{{{names}\linewidth}}{'r' * width}@{{\hspace{{0.6em}}}}"
    kind = "longtable" if long else "tabular"
    caption = rf"\caption{{{table.caption}}}\label{{tab:xbench}}" if table.caption else ""
    head = ["\\toprule", *_headings(table.blocks), "\\midrule"]
    if long:
        first = [rf"{caption}\\", *head, "\\endfirsthead"] if caption else []
        head = [*first, *head, "\\endhead"]
    body = [line for i, group in enumerate(table.groups) for line in _group(group, width + 1, first=i == 0)]
    shown = [rf"\begin{{{kind}}}{{{columns}}}", *head, *body, "\\bottomrule", rf"\end{{{kind}}}"]
    size = r"\footnotesize" if width <= _ROOMY else r"\scriptsize"
    above = [caption] if floats and caption else []
    return "\n".join([*above, rf"{{{size}\setlength{{\tabcolsep}}{{{gap}pt}}", *shown, "}"])


def _headings(blocks: Sequence[Block]) -> list[str]:
    """Blocks, directions, metrics: a line each, with rules below what spans columns."""
    lines = []
    if any(block.title for block in blocks):
        lines += _spanning([(_title(block, alone=len(blocks) == 1), block.width) for block in blocks])
    sides = [(side, len(metrics)) for block in blocks for side, metrics in block.columns]
    lines += _spanning(sides) if any(side for side, _ in sides) else []
    metrics = [metric for block in blocks for _, found in block.columns for metric in found]
    return [*lines, " & ".join(["", *map(for_latex, metrics)]) + r" \\"]


def _title(block: Block, *, alone: bool) -> str:
    if alone:
        return for_latex(block.title)
    broken = r"/\\".join(map(for_latex, block.title.split("/")))
    return rf"\shortstack{{{broken}}}"


def _spanning(cells: Sequence[tuple[str, int]]) -> list[str]:
    spans, rules, start = [], [], 2
    for text, width in cells:
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{text}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & ".join(["", *spans]) + r" \\", "".join(rules)]


def _group(group: Rows, width: int, *, first: bool) -> list[str]:
    lines = [] if first else [r"\midrule"]
    if group.title:
        kind = "l" if len(group.title) <= _LONGEST_TITLES else r"p{0.95\linewidth}"
        lines.append(
            rf"\multicolumn{{{width}}}{{@{{}}{kind}}}{{\raggedright\emph{{{name(group.title)}}}}} \\"
        )
    return lines + [" & ".join([rf"\raggedright {row[0]}", *row[1:]]) + r" \\" for row in group.rows]
