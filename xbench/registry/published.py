"""results/published.csv as it stands: what papers print, a row for each value."""

import csv
from functools import cache

from xbench.registry import shipped


@cache
def published_csv() -> tuple[dict[str, str], ...]:
    """Return all rows by column, in the order of the file."""
    with shipped("results/published.csv").open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def has_published_values(protocol: str | None) -> bool:
    """Whether any paper's value is of this protocol."""
    return any(row["protocol"] == protocol for row in published_csv())
