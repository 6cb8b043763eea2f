"""Scores that were computed again beside those of a result: how far they may move, what contradicts it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbench.metrics.bounds import Bounds
from xbench.metrics.counts import Counts, Ints
from xbench.reports.check.proving import Finding

_SHOWN = 2

TOLERANCES: Mapping[str, tuple[float, float]] = {
    "fp32": (1e-4, 1e-3),
    "tf32": (6e-3, 1.2e-2),
    "fp16": (6e-3, 1.2e-2),
    "bf16": (3e-2, 6e-2),
}
"""How far a score may move, as a part of the range of scores, by precision: computed in the same way, and on
another kind of device or in another precision. `python -m benchmarks.rescoring` tells what scores do."""
_STEPS: Mapping[str, float] = {"fp32": 2**-24, "tf32": 2**-11, "fp16": 2**-11, "bf16": 2**-8}
"""What rounding a number to each precision may lose of it."""
_ROUNDINGS = 4
"""So many roundings of the largest score are allowed at least: some models tell little apart."""

Numbers = dict[str, int | float | str]
"""What was computed again and how, for a program."""


Way = tuple[str, str]
"""Precision and device."""


def allowed_of(scores: NDArray[np.float32], ways: tuple[Way, Way]) -> float:
    """How far a score may lie from the one that is stored."""
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return 0.0
    precisions = [precision if precision in TOLERANCES else "fp32" for precision, _ in ways]
    alike = len({(precision, device.partition(":")[0]) for precision, device in ways}) == 1
    share = max(TOLERANCES[precision][not alike] for precision in precisions)
    rounding = _ROUNDINGS * max(_STEPS[precision] for precision in precisions)
    return max(share * float(np.ptp(finite)), rounding * float(np.abs(finite).max()))


def way_of(*ways: Way) -> str:
    """Name the ways in which scores were computed there and here, once if they are the same."""
    there, here = (f"{precision or 'fp32'} on {device or 'cpu'}" for precision, device in ways)
    return there if there == here else f"{there} there and {here} here"


@dataclass(frozen=True, eq=False)
class Compared:
    """One direction: what stands in the counts [q] beside what was computed again.

    rivals: int64 [q], how many each query has. places: int64 [q], where they stand among all captions or
    videos. allowed: how far a score may move.
    """

    side: str
    counts: Counts
    bounds: Bounds
    rivals: Ints
    places: Ints
    allowed: float

    @property
    def moved(self) -> NDArray[np.float64]:
        """How far each right score [q] lies from the stored one; infinitely where one alone is NaN."""
        stored, here = self.counts.right.astype(np.float64), self.bounds.right.astype(np.float64)
        moved = np.abs(stored - here)
        moved[(stored == here) | (np.isnan(stored) & np.isnan(here))] = 0.0
        return np.nan_to_num(moved, nan=np.inf)

    @property
    def undecided(self) -> NDArray[np.bool_]:
        """The queries of which a rival that was looked at is too near to tell."""
        return np.asarray(self.bounds.near > 0)

    @property
    def largest(self) -> float:
        """The largest of these."""
        return float(self.moved.max(initial=0.0))

    @property
    def is_right(self) -> bool:
        """Whether nothing contradicts the counts."""
        return not (*self.wrong_scores(), *self.wrong_counts())

    def wrong_scores(self) -> Iterator[str]:
        """Say of each right score that lies too far away what it is here."""
        for query in np.flatnonzero(self.moved > self.allowed):
            yield (
                f"{self.side} query {self.places[query]} has {self.counts.right[query]:.6g}, here"
                f" {self.bounds.right[query]:.6g}"
            )

    def wrong_counts(self) -> Iterator[str]:
        """Say of each count that the scores do not leave room for what they do."""
        bounds, counts = self.bounds, self.counts
        for query in np.flatnonzero(bounds.too_few_better(counts)):
            yield (
                f"{self.side} query {self.places[query]} counts {counts.better[query]} better rivals, here"
                f" are {bounds.above[query]}"
            )
        for query in np.flatnonzero(bounds.too_many_counted(counts, self.rivals)):
            most = self.rivals[query] - bounds.below[query]
            yield (
                f"{self.side} query {self.places[query]} counts {counts.better[query] + counts.tied[query]}"
                f" rivals that are not worse, here are at most {most}"
            )


def findings_of(found: Sequence[Compared], numbers: Numbers, how: str, *, whole: bool) -> list[Finding]:
    """Return what both directions say. how: for messages; whole: all videos of the gallery were scored."""
    of = f"{numbers['captions']} captions against {numbers['videos']} videos, {how}"
    near = f"{numbers['largest']:.2g} at most, {numbers['allowed']:.2g} is allowed"
    scores = [each for one in found for each in one.wrong_scores()]
    counts = [each for one in found for each in one.wrong_counts()]
    ranked = "all videos" if whole else "those videos alone"
    near_ones = f"; {numbers['undecided']} captions have rivals too near to tell" * bool(numbers["undecided"])
    return [
        _finding("rescored", scores, f"right scores of {of}: {near}", f"right scores differ ({of}; {near})"),
        _finding("ranks", counts, f"no count contradicts {ranked}{near_ones}", f"counts contradict {ranked}"),
    ]


def _finding(name: str, wrong: Sequence[str], fine: str, what: str) -> Finding:
    if not wrong:
        return Finding(name, True, fine)
    more = f"; and {len(wrong) - _SHOWN} more" if wrong[_SHOWN:] else ""
    return Finding(name, False, f"{len(wrong)} {what}: {'; '.join(wrong[:_SHOWN])}{more}")
