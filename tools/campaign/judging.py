"""The fault table: an end of a child is right, a named error, or one of the four things that must not be."""

import re
from collections import Counter, defaultdict

from tabulate import tabulate

from tools.campaign.children import Ended, Fault

COLUMNS = ("right", "named error", "traceback", "hang", "lost", "silent")
BAD = COLUMNS[2:]
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_UNEXPECTED, _READER_GONE = 70, 141


def verdict(fault: Fault, ended: Ended, wrong: str, at_start_mb: float) -> tuple[str, str]:
    """Return the column that an end belongs to, and for a bad one why."""
    took = ended.peak_mb - at_start_mb
    if ended.hung:
        wrong = f"hang: no end after {fault.seconds:.0f} s"
    elif ended.code in (_UNEXPECTED, 71, 120) or "Traceback (" in ended.err or ended.code < 0:
        wrong = f"traceback: exit {ended.code}: {_last(ended.err)}"
    elif not wrong and took > fault.spare_mb:
        wrong = f"hang: took {took:.0f} MB more than at its start"
    wrong = wrong or _unsaid(fault, ended)
    if wrong:
        return wrong.partition(":")[0], wrong
    return ("right" if ended.code == 0 else "named error"), ""


def _unsaid(fault: Fault, ended: Ended) -> str:
    """What is wrong with an end that looks well."""
    if _RAW.search(ended.out + ended.err):
        return "silent: a character that cannot be seen reaches the terminal"
    if ended.code == 0:
        return "" if fault.may_pass else f"silent: exit 0: {_last(ended.err or ended.out)}"
    if ended.code not in fault.codes:
        return f"silent: exit {ended.code} instead of {sorted(fault.codes)}: {_last(ended.err)}"
    said = ended.err.strip() or ended.code == _READER_GONE
    return "" if said else f"silent: exit {ended.code} without a word"


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
