"""Recorded ratios, and whether a machine still reaches half of each: a regression in speed must be seen.

Seconds differ from machine to machine, ratios of two computations in turns hardly do.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figure import Figure

BASELINE = Path(__file__).with_name("baseline.json")
TRIES = 3
_SHARE = 0.5


def record(figures: Sequence[Figure]) -> None:
    """Write the ratios of the steady figures, and keep those of parts that were not measured."""
    parts = tuple(f"{figure.part}: " for figure in figures)
    kept = recorded() if BASELINE.exists() else {}
    ratios = {key: ratio for key, ratio in kept.items() if not key.startswith(parts)}
    ratios |= {figure.key: round(figure.ratio, 3) for figure in figures if figure.steady}
    BASELINE.write_text(json.dumps(ratios, indent=2) + "\n")


def recorded() -> dict[str, float]:
    """Return the recorded ratios by key."""
    ratios: dict[str, float] = json.loads(BASELINE.read_text())
    return ratios


def too_slow(figures: Sequence[Figure], ratios: Mapping[str, float]) -> set[str]:
    """Return the keys of figures under half the recorded ratio, and of recorded ones that are not there."""
    measured = {figure.key: figure.ratio for figure in figures}
    return {key for key, ratio in ratios.items() if measured.get(key, 0.0) < _SHARE * ratio}
