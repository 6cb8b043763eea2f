"""Features on disk: one entry for each item, keyed by everything that can change it, never half-read.

Entries lie in packs (`packs`), each with the sha256 of its content. One that does not match its hash is
computed again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xbench.engine.packs import Entry, Packs, count_entries, read_entry, write_entry
from xbench.errors import DataError, explain
from xbench.progress import say
from xbench.readers import MIB, parse_json, read_at_most
from xbench.scorers.base import Features
from xbench.storage import tidy, within, write_atomically

__all__ = ["Entry", "Kind", "Lodged", "Store", "Stored", "clear", "key_of", "scorings", "stored"]

_LAYOUT = 2
"""Raised when entries change in a way that old ones must not be read. 1 was a file for each video, encoded
in batches of what was missing."""

Kind = Literal["text", "video"]


def key_of(**parts: Any) -> str:
    """Return the sha256 of named JSON values, as hex. Equal parts in any order give equal keys."""
    text = json.dumps({"layout": _LAYOUT, **parts}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """The features of one scorer below a cache folder.

    `identity` is the scorer's and what else changes the features of all items; its hash names the folder, in
    which `about.json` says what it belongs to. Several processes on several machines may use a store at once.
    """

    def __init__(self, root: Path, name: str, identity: Mapping[str, Any]) -> None:
        self.root, self.name, self.identity = root, name, identity
        self.folder = root / "features" / f"{name}-{key_of(identity=dict(identity))[:16]}"
        about = self.folder / "about.json"
        try:
            tidy(self.folder)
            if not about.exists():
                _tell_of_old(root, name)
                content = {"layout": _LAYOUT, "name": name, "identity": dict(identity)}
                within(self.folder, lambda: write_atomically(about, json.dumps(content).encode()))
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self._packs = {kind: Packs(self.folder / kind) for kind in ("text", "video")}

    def has(self, kind: Kind, key: str) -> bool:
        """Tell whether there is an entry, without reading it."""
        return key in self._packs[kind]

    def load(self, kind: Kind, key: str, *, check: bool = True) -> Entry | None:
        """Return the entry; None when it is absent or damaged. Without `check` its hash is not looked at."""
        content = self._packs[kind].read(key)
        entry = None if content is None else read_entry(key, content, check=check)
        if entry is None:
            self._packs[kind].forget(key)
        return entry

    def save(self, kind: Kind, key: str, features: Features, info: Mapping[str, Any]) -> None:
        """Write an entry. Raises DataError when the folder cannot be written."""
        try:
            self._packs[kind].append(key, write_entry(key, features, info))
        except OSError as error:
            raise _unwritable(self.folder / kind, error) from error

    def refresh(self) -> None:
        """Take up what other processes have written since."""
        for packs in self._packs.values():
            packs.refresh()

    def close(self) -> None:
        """Close all files; the store can be used on."""
        for packs in self._packs.values():
            packs.close()


@dataclass(frozen=True, slots=True)
class Lodged:
    """The features of an entry, left in the store until they are needed."""

    store: Store
    kind: Kind
    key: str

    def load(self) -> Features:
        """Read them. Raises DataError when somebody cleared the cache meanwhile."""
        entry = self.store.load(self.kind, self.key, check=False)
        if entry is None:
            raise DataError(
                f"Features are gone from {self.store.folder}: was the cache cleared meanwhile? "
                f"Run the same command again."
            )
        return entry.features


def scorings(root: Path) -> Path:
    """Return the folder below a cache folder in which scorings keep their finished units while they last."""
    return root / "scoring"


@dataclass(frozen=True)
class Stored:
    """The features of one scorer, or what scorings left, as `xbench cache list` shows them."""

    folder: Path
    name: str
    identity: Mapping[str, Any]
    texts: int
    videos: int
    size: int
    """Bytes of all files."""
    used: float
    """Seconds since the epoch of the last change."""
    current: bool
    """Whether this version of xbench reads them."""


def stored(root: Path) -> Iterator[Stored]:
    """List what a cache folder holds: features in order of name, then what is kept of unfinished scorings."""
    for folder in sorted((root / "features").glob("*")):
        about = _about(folder)
        yield _stored(folder, about, current=about.get("layout") == _LAYOUT)
    if any(scorings(root).glob("*")):
        yield _stored(scorings(root), {}, current=True)


def _stored(folder: Path, about: Mapping[str, Any], *, current: bool) -> Stored:
    files, identity = list(_files(folder)), about.get("identity")
    return Stored(
        folder=folder,
        name=about.get("name", folder.name),
        identity=identity if isinstance(identity, dict) else {},
        texts=count_entries(folder / "text"),
        videos=count_entries(folder / "video"),
        size=sum(file.st_size for file in files),
        used=max((file.st_mtime for file in files), default=0.0),
        current=current,
    )


def _files(folder: Path) -> Iterator[os.stat_result]:
    """What is there now: others may write and clear meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield (Path(parent) / name).stat()


def clear(entry: Stored) -> list[str]:
    """Remove what `stored` told of; return what could not be removed, and why.

    A run that uses them goes on, and encodes what it misses again.
    """
    kept: list[str] = []

    def keep(_: object, path: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):  # else somebody was faster
            kept.append(explain(error) if isinstance(error, OSError) else f"{path}: {error}")

    shutil.rmtree(entry.folder, onerror=lambda call, path, info: keep(call, path, info[1]))
    return kept


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = parse_json(read_at_most(folder / "about.json", MIB))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _tell_of_old(root: Path, name: str) -> None:
    old = [
        folder.name
        for folder in sorted((root / "features").glob(f"{name}-*"))
        if (folder / "about.json").exists() and _about(folder).get("layout") != _LAYOUT
    ]
    if old:
        say(
            f"Features of an earlier version of xbench are left aside, for they depended on their batch: "
            f"{', '.join(old)}. `xbench cache clear NAME` removes them."
        )


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"The feature cache cannot be written: {path}: {explain(error)} Or choose another folder with "
        "--cache-dir, or run with --no-cache."
    )
