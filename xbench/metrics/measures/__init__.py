"""Measures as values: `R@10` is hashable and printable; each has its name, formula and text in its own file.

There is no list of them: a file of this folder holds a class, and the class registers itself. To add a
measure is to add a file.
"""

import importlib
import pkgutil

from xbench.errors import UsageError, did_you_mean
from xbench.metrics.measures.base import CutoffMeasure, Floats, Measure, registered
from xbench.terms import DEFAULT_METRICS

__all__ = [
    "DEFAULT_MEASURES",
    "CutoffMeasure",
    "Floats",
    "Measure",
    "in_order",
    "parse_measure",
    "parse_measures",
    "registered",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def parse_measure(text: str) -> Measure:
    """Parse a measure's name, such as `R@10` or `MdR`; case does not matter.

    Raises UsageError for anything else, and for a cutoff that is not a whole number from 1 to 1,000,000.
    """
    wanted = text.strip()
    for kind in registered():
        if (found := kind.parse(wanted)) is not None:
            return found
    known = [name for kind in registered() for name in kind.examples()]
    raise UsageError(f"There is no measure {wanted!r} (K in R@K counts from 1).{did_you_mean(wanted, known)}")


def parse_measures(text: str) -> tuple[Measure, ...]:
    """Parse a comma-separated list such as `R@1,R@100,MdR`, keeping its order and dropping repetitions."""
    return tuple(dict.fromkeys(parse_measure(part) for part in text.split(",")))


def in_order(names: set[str]) -> list[str]:
    """Return names of measures in the order of a board's columns; the first one ranks."""
    return sorted(names, key=lambda name: parse_measure(name).order)


DEFAULT_MEASURES: tuple[Measure, ...] = parse_measures(DEFAULT_METRICS)
"""What the papers report."""
