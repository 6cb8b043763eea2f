"""Fetch a listed file once, check its sha256, keep it."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from xbench.errors import ModelError
from xbench.progress import say
from xbench.registry.checkpoints import Listed
from xbench.storage import cache_dir

_CHUNK = 1 << 20
_TIMEOUT = 30.0


def fetched(entry: Listed, instead: str) -> Path:
    """Return the local copy of a listed file, fetching it into the cache when it is not there yet.

    What is in the cache is checked like what comes from the network. Raises ModelError, ending with
    `instead` (what else the user can do), when the file cannot be had or is not the listed one.
    """
    target = place_of(entry)
    if target.is_file() and _sha256(target) == entry.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _download(entry, temporary, instead)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def place_of(entry: Listed) -> Path:
    """Return where the local copy of a listed file stands, whether it is there yet or not."""
    return cache_dir() / "fetched" / entry.sha256 / entry.url.rsplit("/", 1)[-1]


def _download(entry: Listed, path: Path, instead: str) -> None:
    digest = hashlib.sha256()
    say(f"Fetching {entry.url}")
    try:
        with urllib.request.urlopen(entry.url, timeout=_TIMEOUT) as response, path.open("wb") as file:
            while chunk := response.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(f"{entry.url} cannot be fetched ({error}). {instead}") from error
    if digest.hexdigest() != entry.sha256:
        raise ModelError(
            f"What {entry.url} sent is not the listed file: its sha256 is {digest.hexdigest()}, expected "
            f"{entry.sha256}. {instead}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
