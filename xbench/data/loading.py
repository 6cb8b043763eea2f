"""One function for callers: a benchmark's annotations in, whatever form they have, a Split out."""

from pathlib import Path

from xbench.data.benchmarks import custom, hub, room
from xbench.data.split import Split
from xbench.errors import DataError, UsageError, did_you_mean
from xbench.registry.datasets import CUSTOM, Protocol, custom_protocol
from xbench.registry.datasets import benchmark as find_benchmark


def load_split(benchmark: str, annotations: Path | str, protocol: str | None = None) -> Split:
    """Load one protocol of a benchmark (its default if not named) from its annotations.

    annotations: the folder of the published files; `hf:OWNER/NAME[@REVISION]`, or a folder, JSON or parquet
    file in the layout of a Hugging Face data set; or a user's own .csv, .tsv or .jsonl file (`custom`).

    What was loaded need not be the published protocol: `recognition.recognise` tells. Wrong or missing files
    are a DataError; unknown names are a UsageError, and so is a protocol named for a user's own file.
    """
    wanted = choose_protocol(benchmark, protocol)
    if str(annotations).startswith(hub.PREFIX):
        return hub.load_remote(str(annotations), wanted)
    path = Path(annotations)
    if path.is_file():
        return _load_file(path, wanted, protocol)
    if not path.is_dir():
        raise DataError(f"{path} is not a folder; give the folder that holds {_names(wanted)}.")
    if wanted.id == CUSTOM:
        raise DataError(f"{path} is a folder; custom annotations are {wanted.files[0]}: give the file.")
    if not _has_published_files(path, wanted) and hub.find_files(path, wanted):
        return hub.load_local(path, wanted)
    return room(wanted.benchmark).load(path, wanted)


def choose_protocol(benchmark: str, protocol: str | None) -> Protocol:
    """The named protocol of a benchmark, or its default; one that is only recognised cannot be chosen."""
    entry = find_benchmark(benchmark)
    if protocol == CUSTOM:
        return custom_protocol(entry)
    name = protocol or entry.default_protocol
    full = name if "/" in name else f"{entry.id}/{name}"
    if full not in entry.protocols:
        raise UsageError(f"{entry.name} has no protocol {name!r}.{did_you_mean(full, entry.protocols)}")
    chosen = entry.protocols[full]
    if chosen.recognised_only:
        raise UsageError(
            f"{full} is an accident that xbench recognises, not a protocol to run: {chosen.rule} Name"
            " another one."
        )
    return chosen


def _load_file(path: Path, wanted: Protocol, named: str | None) -> Split:
    if path.name in _flat(wanted):
        return room(wanted.benchmark).load(path.parent, wanted)
    if path.suffix.lower() in custom.SUFFIXES:
        if named is not None and wanted.id != CUSTOM:
            raise UsageError(
                f"{path} holds your own annotations, of which {wanted.id} says nothing: name no protocol (or "
                f"{CUSTOM}), or give the folder that holds {_names(wanted)}."
            )
        return custom.load(path, custom_protocol(find_benchmark(wanted.benchmark)))
    if path.suffix.lower() in hub.SUFFIXES:
        return hub.load_local(path, wanted)
    raise DataError(
        f"{path}: expected the folder that holds {_names(wanted)}, a .json or .parquet file in the layout of "
        "a Hugging Face data set, or a .csv, .tsv or .jsonl file with video_id and caption."
    )


def _has_published_files(folder: Path, protocol: Protocol) -> bool:
    return any((folder / name).exists() for name in _flat(protocol))


def _flat(protocol: Protocol) -> list[str]:
    return [name for one in protocol.files for name in ((one,) if isinstance(one, str) else one)]


def _names(protocol: Protocol) -> str:
    return ", ".join(name if isinstance(name, str) else " or ".join(name) for name in protocol.files)
