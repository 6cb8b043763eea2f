"""How reports print: lines that fit, numbers with a sign."""

import textwrap

from xbench.shown import visible

WIDTH = 100
"""Columns of a terminal that a table may take."""


def fill(line: str) -> str:
    """Return a line broken to fit a terminal, what follows indented."""
    return textwrap.fill(visible(line, keep="\n\t"), WIDTH, subsequent_indent="  ")


def signed(value: float, digits: int) -> str:
    """Print a difference with its sign; what rounds to zero is +0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def format_p(value: float) -> str:
    """Print a p-value with three decimals and no leading zero."""
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
