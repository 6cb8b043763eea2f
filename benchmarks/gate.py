"""How often `xbench check` fails a model that did not change, by simulation, and how often it finds a loss.

    python -m benchmarks.gate [--repetitions N] [--queries Q]

Two runs of equal quality share how hard each query is and differ by chance alone, as in
benchmarks.significance; t2v and v2t are drawn apart. Rows are ways to gate: no drop of any metric, limits on
R@1 of both directions, and the paired test of all metrics. A column tells in how many of the repetitions the
gate failed: for `equal` runs these are false alarms, for `shifted` ones (every rank 25% worse) found losses.
"""

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.significance import EQUAL, SHIFTED, Change, ranks
from xbench.metrics.counts import Counts
from xbench.metrics.measures import DEFAULT_MEASURES
from xbench.reports.check.gates import Key, parse_limits
from xbench.reports.check.regression import check_against_run
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery, scored
from xbench.reports.record.schema import Fingerprint, ProtocolRecord, Record, ScorerRecord, Videos

Ints = NDArray[np.int64]
LIMITS: dict[str, dict[Key, float]] = {
    "no drop of any metric": parse_limits([f"{measure}=0" for measure in DEFAULT_MEASURES]),
    "--max-drop R@1=0.5": parse_limits(["R@1=0.5"]),
    "--max-drop R@1=2": parse_limits(["R@1=2"]),
}
TESTED = "paired test at 0.05"


def pair(change: Change, queries: int, seed: int) -> tuple[Measurement, Measurement]:
    """Return two measurements over the same queries: the baseline, and the run after a change."""
    sides = [ranks(change, queries, 1, 2 * seed + side)[:2] for side in (0, 1)]
    first, second = ([side[run] for side in sides] for run in (0, 1))
    return measurement(*first), measurement(*second)


def measurement(t2v: Ints, v2t: Ints) -> Measurement:
    """Return a measurement whose right items have these ranks, one caption a video."""
    owner = np.arange(len(t2v))
    names = [str(index) for index in owner]
    counts = PerQuery.of(_counts(t2v), _counts(v2t), owner, names, names)
    numbers = scored(counts.t2v, counts.v2t, owner, resamples=0)
    hashes = dict.fromkeys(("ids", "pairs", "pairs_sorted", "pairs_ws_normalised_sorted"), "")
    record = Record(
        created="",
        benchmark="simulated",
        protocol=ProtocolRecord(
            requested="simulated",
            fingerprint=Fingerprint(videos=len(owner), captions=len(owner), **hashes),
        ),
        videos=Videos(wanted=len(owner), scored=len(owner)),
        comparable=False,
        not_comparable_because=["simulated"],
        scorer=ScorerRecord(name="simulated"),
        **numbers,
    )
    return Measurement(record, counts)


def failures(change: Change, queries: int, repetitions: int) -> dict[str, float]:
    """Return in which share of the repetitions each gate failed."""
    failed = dict.fromkeys([*LIMITS, TESTED], 0)
    for seed in range(repetitions):
        baseline, run = pair(change, queries, seed)
        verdict = check_against_run(run, baseline, {})
        failed[TESTED] += bool(verdict.failures)
        for name, limits in LIMITS.items():
            limited = [
                replace(gate, limit=limits.get((gate.direction, gate.measure))) for gate in verdict.gates
            ]
            failed[name] += any(gate.limit is not None and gate.failed_because for gate in limited)
    return {name: count / repetitions for name, count in failed.items()}


def _counts(found: Ints) -> Counts:
    zeros = np.zeros_like(found)
    return Counts(found - 1, zeros, np.ones(len(found), dtype=np.float32), zeros, 0)


def main() -> None:
    """Print a line for each gate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args()
    found = [failures(change, options.queries, options.repetitions) for change in (EQUAL, SHIFTED)]
    print(f"{options.queries} queries, {options.repetitions} repetitions: share of checks that failed")
    print(f"{'':24}{EQUAL.name:>9}{SHIFTED.name:>9}")
    for name in found[0]:
        print(f"{name:24}" + "".join(f"{each[name]:9.1%}" for each in found))


if __name__ == "__main__":
    main()
