"""Fetching the annotations of a benchmark or protocol: what may be fetched, and where the rest comes from."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xbench.data.download import get, has_content
from xbench.errors import DataError
from xbench.registry.datasets import AnnotationFile, Benchmark, Protocol


@dataclass(frozen=True)
class Outcome:
    """What became of one wanted file."""

    name: str
    state: Literal["fetched", "already there", "left as it is", "not public", "failed"]
    detail: str = ""

    @property
    def is_fine(self) -> bool:
        return self.state in ("fetched", "already there")


def wanted_files(protocols: Sequence[Protocol]) -> list[tuple[str, ...]]:
    """The files that protocols are read from, each with its alternatives, without repetition."""
    groups = [
        (names,) if isinstance(names, str) else names
        for protocol in protocols
        if not protocol.recognised_only
        for names in protocol.files
    ]
    return list(dict.fromkeys(groups))


def fetch(
    benchmark: Benchmark, protocols: Sequence[Protocol], folder: Path, advance: Callable[[int], None]
) -> list[Outcome]:
    """Put the annotation files of protocols into a folder; `advance` is told how many more bytes came.

    A file that is there is not touched: with the listed content, or as an alternative form, it is "already
    there"; with other content it is "left as it is", which is not fine.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made a folder: {error.strerror or error}.") from None
    with _only_one(folder):
        return [_fetch_one(names, benchmark, folder, advance) for names in wanted_files(protocols)]


def bytes_to_fetch(benchmark: Benchmark, protocols: Sequence[Protocol], folder: Path) -> int:
    """How many bytes `fetch` will ask for, at most."""
    total = 0
    for names in wanted_files(protocols):
        name = _fetchable(names, benchmark)
        if name and not any((folder / each).exists() for each in names):
            file = benchmark.fetch[name]
            total += (file.zip or file).bytes
    return total


def _fetchable(names: tuple[str, ...], benchmark: Benchmark) -> str | None:
    return next((name for name in names if name in benchmark.fetch), None)


def _fetch_one(
    names: tuple[str, ...], benchmark: Benchmark, folder: Path, advance: Callable[[int], None]
) -> Outcome:
    there = next((name for name in names if (folder / name).exists()), None)
    if there is not None:
        return _judge(there, benchmark.fetch.get(there), folder)
    name = _fetchable(names, benchmark)
    if name is None:
        return Outcome(names[0], "not public", f"{benchmark.annotations_from}; put it into {folder}")
    try:
        get(name, benchmark.fetch[name], folder, advance)
    except DataError as error:
        return Outcome(name, "failed", str(error))
    return Outcome(name, "fetched")


def _judge(name: str, listed: AnnotationFile | None, folder: Path) -> Outcome:
    if listed is None or has_content(folder / name, listed):
        return Outcome(name, "already there")
    return Outcome(name, "left as it is", "its content is not the published one; move it away to fetch that")


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder, which the system frees even after kill -9."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"Another xbench is fetching into {folder}; wait until it is done.") from None
        yield
    finally:
        os.close(handle)
