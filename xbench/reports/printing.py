"""How reports print: lines that fit, numbers with a sign, text that is only text wherever it is shown."""

import textwrap

WIDTH = 100
"""Columns of a terminal that a table may take."""

_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_markdown(line: str) -> str:
    """Return a line in which nothing is markup, HTML or a table's bar."""
    flat = " ".join(line.split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~" else char for char in flat).replace("&", "&amp;")


def escape_latex(line: str) -> str:
    """Return a line in which nothing is a command."""
    return "".join(_LATEX.get(char, char) for char in " ".join(line.split()))


def escape_terminal(line: str) -> str:
    """Return a line without control characters, which could move the cursor or hide text."""
    return "".join(char if char.isprintable() else " " for char in line)


def escape_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before a formula's start."""
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA_STARTS) else text


def fill(line: str) -> str:
    """Return a line broken to fit a terminal, what follows indented."""
    return textwrap.fill(line, WIDTH, subsequent_indent="  ")


def signed(value: float, digits: int) -> str:
    """Print a difference with its sign; what rounds to zero is +0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def format_p(value: float) -> str:
    """Print a p-value with three decimals and no leading zero."""
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
