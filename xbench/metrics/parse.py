"""Measures from text, as on the command line: `R@1,R@100,MdR`."""

import re
from collections.abc import Callable

from xbench.errors import UsageError, did_you_mean
from xbench.metrics.measures import NDCG, MeanRank, Measure, MedianRank, Recall, RecallSum, ReciprocalRank

_PLAIN: dict[str, Measure] = {
    str(measure).lower(): measure for measure in (MedianRank(), MeanRank(), ReciprocalRank(), RecallSum())
}
_WITH_CUTOFF: dict[str, Callable[[int], Measure]] = {"r": Recall, "ndcg": NDCG}


def parse_measure(text: str) -> Measure:
    """Parse `R@10`, `nDCG@10`, `MdR`, `MnR`, `MRR` or `RSum`; case does not matter.

    Raises UsageError for anything else, and for a cutoff that is not a whole number from 1 to 1,000,000.
    """
    name = text.strip().lower()
    if name in _PLAIN:
        return _PLAIN[name]
    parts = re.fullmatch(r"(r|ndcg)@(\d{1,7})", name)
    if parts and 1 <= int(parts[2]) <= 1_000_000:
        return _WITH_CUTOFF[parts[1]](int(parts[2]))
    wrong = text.strip()
    known = ["R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "MRR", "nDCG@10", "RSum"]
    raise UsageError(f"There is no measure {wrong!r} (K in R@K counts from 1).{did_you_mean(wrong, known)}")


def parse_measures(text: str) -> tuple[Measure, ...]:
    """Parse a comma-separated list such as `R@1,R@100,MdR`, keeping its order and dropping repetitions."""
    return tuple(dict.fromkeys(parse_measure(part) for part in text.split(",")))
