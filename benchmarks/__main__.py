"""Every figure of xbench's speed beside its rival, in one run.

    python -m benchmarks [PART ...] [--small] [--json FILE] [--check | --record]

Parts: ranking, decoding, scoring, precision (bf16), endtoend, pipeline, startup, growth,
pages (needs Chromium), workers (needs Ray). Seconds are
medians of turns that take both rivals one after the other; GB (10^9 bytes) are the peak of a process's own
memory, mapped files aside.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import baseline
from benchmarks.figure import Figure
from benchmarks.table import machine, render

PARTS = (
    "ranking",
    "decoding",
    "scoring",
    "precision",
    "endtoend",
    "pipeline",
    "startup",
    "growth",
    "pages",
    "workers",
)


def main() -> None:
    """Measure and print; with --check, exit 1 when a ratio falls under half the recorded one in every try."""
    options = _options()
    parts = options.parts or PARTS
    if options.check:
        sys.exit(check())
    before = machine()
    figures = measure(parts, small=options.small or options.record)
    print("\n".join(f"{name}: {value}" for name, value in before.items()), end="\n\n")
    print(render(figures))
    if options.json:
        content = {"machine": before, "figures": [figure.as_json() for figure in figures]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.record:
        baseline.record(figures)


def measure(parts: Sequence[str], *, small: bool) -> list[Figure]:
    """Return the figures of some parts, saying on stderr which is being measured."""
    figures: list[Figure] = []
    for part in parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"benchmarks.{part}").figures(small=small)
    return figures


def check() -> int:
    """Measure the small version, again while something is slow; return the exit code."""
    ratios = baseline.recorded()
    slow = set(ratios)
    for attempt in range(1, baseline.TRIES + 1):
        figures = measure(PARTS, small=True)
        slow &= baseline.too_slow(figures, ratios)
        print(f"try {attempt} of {baseline.TRIES}\n{render(figures)}")
        if not slow:
            return 0
    print(f"Under half the recorded ratio in {baseline.TRIES} tries:", *sorted(slow), sep="\n  ")
    return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--small", action="store_true", help="small sizes: a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--check", action="store_true", help="compare with benchmarks/baseline.json")
    parser.add_argument("--record", action="store_true", help="write benchmarks/baseline.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
