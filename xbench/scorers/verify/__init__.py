"""Whether a scorer keeps the contract: small made-up inputs, plain answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xbench.errors import XbenchError
from xbench.scorers.base import Scorer
from xbench.scorers.finding import what_failed
from xbench.scorers.verify.broken import BrokenError
from xbench.scorers.verify.promises import (
    batches,
    chance,
    declaration,
    full_block,
    numbers,
    order,
    pairs,
    permuted,
    pieces,
    saved,
    texts,
    twice,
    videos,
)
from xbench.scorers.verify.trial import Trial
from xbench.storage import scratch

TOLERANCE = 1e-3
"""Largest deviation that passes, as a part of the largest absolute value."""

CHECKS: tuple[tuple[str, Callable[[Trial], str]], ...] = (
    ("declares what it is", declaration),
    ("encodes texts of any length", texts),
    ("encodes videos, one frame and padded ones too", videos),
    ("gives finite features", numbers),
    ("encodes the same twice", twice),
    ("encodes an item alone as in a batch", batches),
    ("scores pairs", pairs),
    ("scores a block as its pieces", pieces),
    ("scores in any order", order),
    ("scores features that were saved and loaded", saved),
    ("scores a full block as its pieces", full_block),
    ("finds nothing in noise", chance),
    ("scores a gallery in any order", permuted),
)
"""In this order; when one fails, those that need what it made are not tried."""


@dataclass(frozen=True)
class Check:
    """One promise of the contract. passed is None when it was not tried because an earlier one failed."""

    promise: str
    passed: bool | None
    said: str

    def __str__(self) -> str:
        """Return a line: ok, FAIL or -, the promise, and what was seen."""
        mark = {True: "ok  ", False: "FAIL", None: "-   "}[self.passed]
        return f"{mark}  {self.promise}: {self.said}"


def verify(scorer: Scorer, tolerance: float = TOLERANCE) -> Iterator[Check]:
    """Check a scorer against the contract of xbench.scorers.base and yield each finding as it is there.

    Three texts and three videos are encoded a few times, then 200 of each, noise all of them. Half precision
    may need a larger tolerance.
    """
    with scratch() as folder:
        trial = Trial(scorer, tolerance, folder)
        failed = False
        for promise, check in CHECKS:
            if failed and check not in (texts, videos):
                yield Check(promise, None, "not tried, see above")
                continue
            found = _tried(promise, check, trial)
            failed |= not found.passed
            yield found


def _tried(promise: str, check: Callable[[Trial], str], trial: Trial) -> Check:
    try:
        return Check(promise, True, check(trial))
    except (BrokenError, XbenchError) as broken:
        return Check(promise, False, str(broken))
    except Exception as error:
        return Check(promise, False, what_failed(error))
