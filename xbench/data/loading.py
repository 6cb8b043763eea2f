"""One function for callers: a benchmark's annotation files in, a Split out."""

from collections.abc import Callable
from pathlib import Path

from xbench.data.adapters import activitynet, didemo, lsmdc, msrvtt, msvd
from xbench.data.split import Split
from xbench.errors import DataError, UsageError, did_you_mean
from xbench.registry.datasets import Protocol
from xbench.registry.datasets import benchmark as find_benchmark

_ADAPTERS: dict[str, Callable[[Path, Protocol], Split]] = {
    "msrvtt": msrvtt.load,
    "msvd": msvd.load,
    "lsmdc": lsmdc.load,
    "didemo": didemo.load,
    "activitynet": activitynet.load,
}


def load_split(benchmark: str, annotations: Path, protocol: str | None = None) -> Split:
    """Load one protocol of a benchmark (its default if not named) from the folder of its annotation files.

    What was loaded need not be the published protocol: `protocol.recognise` tells. Wrong or missing files are
    a DataError, unknown names a UsageError.
    """
    wanted = choose_protocol(benchmark, protocol)
    if not annotations.is_dir():
        raise DataError(f"{annotations} is not a folder; give the folder that holds {_names(wanted)}.")
    return _ADAPTERS[benchmark](annotations, wanted)


def choose_protocol(benchmark: str, protocol: str | None) -> Protocol:
    """The named protocol of a benchmark, or its default; one that is only recognised cannot be chosen."""
    entry = find_benchmark(benchmark)
    name = protocol or entry.default_protocol
    full = name if "/" in name else f"{benchmark}/{name}"
    if full not in entry.protocols:
        raise UsageError(f"{entry.name} has no protocol {name!r}.{did_you_mean(full, entry.protocols)}")
    chosen = entry.protocols[full]
    if chosen.recognised_only:
        raise UsageError(
            f"{full} is an accident that xbench recognises, not a protocol to run: {chosen.rule}"
        )
    return chosen


def _names(protocol: Protocol) -> str:
    return ", ".join(name if isinstance(name, str) else " or ".join(name) for name in protocol.files)
