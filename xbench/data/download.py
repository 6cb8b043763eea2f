"""Getting one pinned file: resumable, atomic, and never kept unless its sha256 is the listed one."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from xbench.errors import DataError
from xbench.registry.datasets import AnnotationFile, Download, Source

ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
TIMEOUT = 30.0
"""Seconds without a byte after which an address is given up."""
SLOWEST = 20_000
"""Bytes a second, after TIMEOUT, below which an address is given up."""
_ATTEMPTS = 2
_CHUNK = 1 << 16

Advance = Callable[[int], None]


class _AddressError(Exception):
    """This address gives nothing useful; another one may."""


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
    return path.is_file() and path.stat().st_size == wanted.bytes and _sha256(path) == wanted.sha256


def address(source: Source) -> str:
    """The public address of a pinned file."""
    return ADDRESS.format(repository=source.repository, commit=source.commit, path=quote(source.path))


def _download(name: str, wanted: Download, target: Path, advance: Advance) -> None:
    """Try each address in turn; the bytes of one that broke off are continued from the next."""
    part = target.with_name(f".{target.name.lstrip('.')}.part")
    failures: list[str] = []
    for source in wanted.sources:
        for _ in range(_ATTEMPTS):
            try:
                _continue(address(source), wanted, part, advance)
                os.replace(part, target)
                return
            except (_AddressError, OSError, http.client.HTTPException) as error:
                failures.append(f"  {address(source)}: {error}")
                if isinstance(error, urllib.error.HTTPError):
                    break
    raise DataError(
        f"{name} could not be fetched to {target.parent}:\n"
        + "\n".join(failures)
        + "\nTry again later, which "
        f"continues where this stopped, or put the file there by hand (sha256 {wanted.sha256})."
    )


def _continue(url: str, wanted: Download, part: Path, advance: Advance) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= wanted.bytes:
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, wanted.bytes - (have if resumed else 0), advance)
            file.flush()
            os.fsync(file.fileno())
    got = part.stat().st_size
    if got < wanted.bytes:
        raise _AddressError(f"broke off after {got} of {wanted.bytes} bytes")
    if _sha256(part) != wanted.sha256:
        part.unlink()
        raise _AddressError("sent other content than the listed one (sha256 differs)")


def _copy(response: http.client.HTTPResponse, file: BinaryIO, most: int, advance: Advance) -> None:
    """Copy at most `most` bytes and one more, which makes the content a wrong one, at a bearable speed."""
    start, copied = time.monotonic(), 0
    while copied <= most and (chunk := response.read1(min(_CHUNK, most + 1 - copied))):
        file.write(chunk)
        copied += len(chunk)
        advance(len(chunk))
        seconds = time.monotonic() - start
        if seconds > TIMEOUT and copied < SLOWEST * seconds:
            raise _AddressError(f"too slow ({copied / seconds:.0f} bytes a second)")


def _extract(archive: Path, name: str, wanted: Download, target: Path) -> None:
    """Copy one member to our own path; names inside the archive are only compared, never used as paths."""
    part = target.with_name(f".{name}.part")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if PurePosixPath(m.filename).name == name]
            fitting = [member for member in members if member.file_size == wanted.bytes]
            if not fitting:
                raise DataError(f"{archive.name} holds no {name} of {wanted.bytes} bytes.")
            with opened.open(fitting[0]) as member, part.open("wb") as file:
                file.write(member.read(wanted.bytes + 1))
        if _sha256(part) != wanted.sha256:
            raise DataError(f"{name} in its archive is not the listed file (sha256 differs).")
        os.replace(part, target)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise DataError(f"{archive.name} is no usable zip archive ({error}).") from error
    finally:
        part.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
