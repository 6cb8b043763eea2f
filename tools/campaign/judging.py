"""The fault table: every end of a child is right, a named error, or one of the four things that must not be."""

import re
from collections import Counter, defaultdict

from tabulate import tabulate

from tools.campaign.children import Ended, Fault

COLUMNS = ("right", "named error", "traceback", "hang", "lost", "silent")
BAD = COLUMNS[2:]
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_UNEXPECTED = 70


def verdict(fault: Fault, ended: Ended, wrong: str, at_start_mb: float) -> tuple[str, str]:
    """Return the column that an end belongs to, and for a bad one why."""
    if ended.hung:
        return "hang", f"no end after {fault.seconds:.0f} s"
    if ended.code in (_UNEXPECTED, 71, 120) or "Traceback (" in ended.err or ended.code < 0:
        return "traceback", f"exit {ended.code}: {_last(ended.err)}"
    if wrong:
        return wrong.partition(":")[0], wrong
    if _RAW.search(ended.out + ended.err):
        return "silent", "a character that cannot be seen reaches the terminal"
    if ended.peak_mb - at_start_mb > fault.spare_mb:
        return "hang", f"took {ended.peak_mb - at_start_mb:.0f} MB more than at its start"
    if ended.code == 0:
        return ("right", "") if fault.may_pass else ("silent", f"exit 0: {_last(ended.err or ended.out)}")
    if ended.code not in fault.codes:
        return "silent", f"exit {ended.code} instead of {sorted(fault.codes)}: {_last(ended.err)}"
    if not ended.err.strip() and ended.code not in (141,):
        return "silent", f"exit {ended.code} without a word"
    return "named error", ""


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["(nothing said)"])[-1][:300]


class Table:
    """Counts by kind, and what went wrong."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.wrong: list[str] = []

    def add(self, kind: str, column: str, name: str = "", why: str = "") -> None:
        """Count one end; a bad one is remembered by its name."""
        self.counts[kind][column] += 1
        if column in BAD:
            self.wrong.append(f"{column}: {kind}: {name}: {why}")

    @property
    def is_clean(self) -> bool:
        """Whether nothing is in the last four columns."""
        return not self.wrong

    def markdown(self) -> str:
        """Return the table, a row for each kind and one for all."""
        rows = [[kind, sum(c.values()), *(c[name] for name in COLUMNS)] for kind, c in self.counts.items()]
        total = sum(self.counts.values(), Counter())
        rows.append(["all", sum(total.values()), *(total[name] for name in COLUMNS)])
        return tabulate(rows, ["kind", "tried", *COLUMNS], tablefmt="pipe")
