"""Figures as a table and as JSON, with what they were measured on."""

import os
import platform
from collections.abc import Sequence
from typing import Any

import numpy
import torch
from tabulate import tabulate

from benchmarks.figure import Figure

_LEGEND = (
    "ratio: how many times as long the rival takes. wanted: the least that is promised at this size.\n"
    "The floor is what nothing can be much faster than: a ratio of 0.67 is 1.5 times its time."
)


def machine() -> dict[str, Any]:
    """Return what the seconds depend on, the load of other programs included."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "load average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def render(figures: Sequence[Figure]) -> str:
    """Return one table, and the notes below it."""
    rows = [_row(figure) for figure in figures]
    headers = ["what", "seconds", "rival", "seconds", "ratio", "wanted", "GB"]
    notes = [f"{figure.part}: {figure.name}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([tabulate(rows, headers=headers, disable_numparse=True), "", _LEGEND, *notes])


def _row(figure: Figure) -> list[str]:
    alone = not figure.rival
    return [
        f"{figure.part}: {figure.name}",
        _seconds(figure.seconds),
        figure.rival,
        "" if alone else _seconds(figure.rival_seconds),
        "" if alone else f"{figure.ratio:.2f}",
        "" if figure.wanted is None else f"{figure.wanted:.2f}",
        "" if figure.memory is None else f"{figure.memory:.2f}",
    ]


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
