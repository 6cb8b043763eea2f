"""Scoring of pairs beside the published loop, at its script's block and at its best, and beside the floor."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.scoring import CASES, Case, measure

WANTED = {(32, 12): {"script": 14.0, "best": 6.0}, (64, 64): {"script": 40.0, "best": 7.0}}
"""Words and frames -> how many times as fast as the published loop."""
_FLOOR = 1 / 1.5
_PAIRS = 100_000
SMALL = (Case(32, 12, script=40, best=128, blocks=1),)


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the seconds of 100,000 pairs, each way of scoring them."""
    for case in SMALL if small else CASES:
        rows = {row.way: row.pairs_per_second for row in measure(case, 3 if small else 5)}
        ours = rows.pop("xbench")
        for way, speed in rows.items():
            kind = next((kind for kind in ("floor", "script", "best") if kind in way), "")
            if kind:
                wanted = _FLOOR if kind == "floor" else WANTED[case.words, case.frames][kind]
                yield Figure(
                    "similarity",
                    f"{_PAIRS:,} pairs, {case.words} words x {case.frames} frames",
                    _PAIRS / ours,
                    way.split(", at")[0],
                    _PAIRS / speed,
                    wanted=None if small else wanted,
                )
