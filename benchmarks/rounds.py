"""Timing rivals side by side: in turns, in one process, so that a machine's drift hits all of them alike."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping

Seconds = dict[str, float]


def medians(rivals: Mapping[str, Callable[[], object]], rounds: int) -> Seconds:
    """Run every rival once to warm up, then all of them in turns; return each one's median seconds."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(rounds + 1):
        for name, run in rivals.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_rss_gb() -> float:
    """Return the most memory that this process has held, in GB (10^9 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
