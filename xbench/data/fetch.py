"""Fetching the annotations of a benchmark or protocol: what may be fetched, and where the rest comes from."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote

from xbench.errors import DataError, explain
from xbench.registry.datasets import AnnotationFile, Benchmark, Download, PinnedFile, Protocol
from xbench.registry.download import Advance, Wanted, download
from xbench.storage import appearing, file_sha256, lock

_YOURSELF = "What stands at its source has changed: put the file in its place yourself."

ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"


@dataclass(frozen=True)
class FetchedFile:
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
) -> list[FetchedFile]:
    """Put the annotation files of protocols into a folder; `advance` is told how many more bytes came.

    A file that is there is not touched: with the listed content, or as an alternative form, it is "already
    there"; with other content it is "left as it is", which is not fine.
    """
    try:
        with lock(folder / ".fetching.lock", wait=False):
            return [_fetch_one(names, benchmark, folder, advance) for names in wanted_files(protocols)]
    except BlockingIOError:
        raise DataError(f"Another xbench is fetching into {folder}; wait until it is done.") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {explain(error)} Choose another folder.") from error


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
) -> FetchedFile:
    there = next((name for name in names if (folder / name).exists()), None)
    if there is not None:
        return _judge(there, benchmark.fetch.get(there), folder)
    name = _fetchable(names, benchmark)
    if name is None:
        return FetchedFile(names[0], "not public", f"{benchmark.annotations_from}; put it into {folder}")
    try:
        get(name, benchmark.fetch[name], folder, advance)
    except DataError as error:
        return FetchedFile(name, "failed", str(error))
    return FetchedFile(name, "fetched")


def _judge(name: str, listed: AnnotationFile | None, folder: Path) -> FetchedFile:
    if listed is None or has_content(folder / name, listed):
        return FetchedFile(name, "already there")
    return FetchedFile(name, "left as it is", "not the published content; move it away to fetch that")


def get(name: str, file: AnnotationFile, folder: Path, advance: Advance) -> Path:
    """Put an annotation file into a folder, under its name, and return its path.

    What an earlier attempt left is continued. `advance` is told how many more bytes came. DataError if no
    address gives the listed content; the folder then holds no file of that name.
    """
    target = folder / name
    if file.zip is None:
        _download(name, file, target, advance)
        return target
    archive = folder / f".{name}.zip"
    _download(f"{name} (zip)", file.zip, archive, advance)
    try:
        _extract(archive, name, file, target)
    finally:
        archive.unlink(missing_ok=True)
    return target


def has_content(path: Path, wanted: Download) -> bool:
    """True if the file is there with the listed content."""
    return path.is_file() and path.stat().st_size == wanted.bytes and file_sha256(path) == wanted.sha256


def address(source: PinnedFile) -> str:
    """The public address of a pinned file."""
    return ADDRESS.format(repository=source.repository, commit=source.commit, path=quote(source.path))


def _download(name: str, listed: Download, target: Path, advance: Advance) -> None:
    download(
        Wanted(name, tuple(address(source) for source in listed.sources), listed.sha256, listed.bytes),
        target,
        refuse=DataError,
        instead=f"Or put the file there by hand (sha256 {listed.sha256}).",
        advance=advance,
    )


def _extract(archive: Path, name: str, wanted: Download, target: Path) -> None:
    """Copy one member to our own path; names inside the archive are only compared, never used as paths."""
    try:
        with zipfile.ZipFile(archive) as opened, appearing(target) as part:
            members = [m for m in opened.infolist() if PurePosixPath(m.filename).name == name]
            fitting = [member for member in members if member.file_size == wanted.bytes]
            if not fitting:
                raise DataError(f"{archive.name} holds no {name} of {wanted.bytes} bytes. {_YOURSELF}")
            with opened.open(fitting[0]) as member:
                part.write_bytes(member.read(wanted.bytes + 1))
            if file_sha256(part) != wanted.sha256:
                raise DataError(f"{name} in its archive is not the listed file (sha256 differs). {_YOURSELF}")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} is no usable zip archive ({error}). {_YOURSELF}") from error
