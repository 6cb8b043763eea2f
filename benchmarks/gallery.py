"""What a smaller gallery does to a recall, from the saved ranks of a run.

    python -m benchmarks.gallery RESULT.json ...

A query whose right item is beaten by b of the other N - 1 items is, in a random gallery of n items, beaten by
a hypergeometric number of them. Its chance to be among the first K is exact, and so is the expected recall.
"""

import sys
from pathlib import Path

import numpy as np

from xbench.reports.record.files import read

SHARES = (0.99, 0.9, 0.5, 0.1)


def expected_recall(better: np.ndarray, tied: np.ndarray, items: int, kept: int, k: int) -> float:
    """Return the expected R@K in percent when `kept` of `items` items stay, the right one among them.

    better, tied: int [Q]; half of the ties count as better, which is right for R@1 without ties.
    """
    from scipy.stats import hypergeom

    above = better + tied // 2
    return float(100 * hypergeom.cdf(k - 1, items - 1, above, kept - 1).mean())


def main() -> None:
    """Print a line for each result and direction."""
    for path in map(Path, sys.argv[1:]):
        measured = read(path)
        counts = measured.per_query
        if counts is None:
            raise SystemExit(f"{path} has no per-query counts beside it")
        items = len(counts.v2t)
        for k in (1, 5):
            full, *cut = (
                expected_recall(counts.t2v.better, counts.t2v.tied, items, max(1, round(share * items)), k)
                for share in (1.0, *SHARES)
            )
            moved = "  ".join(
                f"{share:.0%}: {value - full:+.1f}" for share, value in zip(SHARES, cut, strict=True)
            )
            print(f"{path.stem} t2v R@{k} {full:.1f} of {items} videos;  {moved}")


if __name__ == "__main__":
    main()
