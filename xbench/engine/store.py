"""Features on disk: one file per item or chunk, keyed by everything that can change it, never half-written.

A file is a safetensors file whose header carries the sha256 of its tensors and a small JSON `info` that
travels with them. A file that does not match its hash is removed and computed again.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xbench.errors import DataError
from xbench.scorers.base import Features
from xbench.storage import tidy, write_atomically

_LAYOUT = 1  # raised when the files change in a way that old ones must not be read


def key_of(**parts: Any) -> str:
    """Return the sha256 of named JSON values, as hex. Equal parts in any order give equal keys."""
    text = json.dumps({"layout": _LAYOUT, **parts}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """What the store holds for one key: features with a common first dimension, and JSON beside them."""

    features: Features
    info: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """The common first dimension of the features."""
        return len(next(iter(self.features.values())))


class Store:
    """The features of one scorer below a cache folder.

    `identity` is the scorer's; its hash names the folder, in which `about.json` says what it belongs to.
    Several processes may use a store at once: files appear whole, under names that depend on content only.
    """

    def __init__(self, root: Path, name: str, identity: Mapping[str, Any]) -> None:
        self.folder = root / "features" / f"{name}-{key_of(identity=dict(identity))[:16]}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tidy(self.folder, deep=True)
            write_atomically(
                self.folder / "about.json", json.dumps({"name": name, "identity": dict(identity)}).encode()
            )
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def path(self, kind: str, key: str) -> Path:
        """Return where the entry of a key lies; `kind` is `text` or `video`."""
        return self.folder / kind / key[:2] / f"{key}.safetensors"

    def load(self, kind: str, key: str) -> Entry | None:
        """Return the entry, its tensors memory-mapped; None when it is absent or damaged."""
        path = self.path(kind, key)
        if not path.is_file():
            return None
        entry = _read(path)
        if entry is None:
            path.unlink(missing_ok=True)
        return entry

    def save(self, kind: str, key: str, features: Features, info: Mapping[str, Any]) -> None:
        """Write an entry atomically. Raises DataError when the folder cannot be written."""
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in features.items()}
        header = {"sha256": _digest(tensors, info), "info": json.dumps(info)}
        path = self.path(kind, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, save(tensors, metadata=header))
        except OSError as error:
            raise _unwritable(path, error) from error


@dataclass(frozen=True)
class Stored:
    """The features of one scorer as `xbench cache list` shows them."""

    folder: Path
    name: str
    identity: Mapping[str, Any]
    texts: int
    videos: int
    size: int
    """Bytes of all files."""
    used: float
    """Seconds since the epoch of the last change."""


def stored(root: Path) -> Iterator[Stored]:
    """List what a cache folder holds, in order of name."""
    for folder in sorted((root / "features").glob("*")):
        try:
            about = json.loads((folder / "about.json").read_text())
        except (OSError, ValueError):
            about = {}
        files = [path for path in folder.rglob("*") if path.is_file()]
        yield Stored(
            folder=folder,
            name=about.get("name", folder.name),
            identity=about.get("identity", {}),
            texts=sum(path.parts[-3] == "text" for path in files),
            videos=sum(path.parts[-3] == "video" for path in files),
            size=sum(path.stat().st_size for path in files),
            used=max((path.stat().st_mtime for path in files), default=0.0),
        )


def clear(entry: Stored) -> None:
    """Remove the features of one scorer."""
    shutil.rmtree(entry.folder, ignore_errors=True)


def _read(path: Path) -> Entry | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        info = json.loads(header["info"])
        sound = bool(tensors) and header["sha256"] == _digest(tensors, info)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    return Entry(tensors, info) if sound else None


def _digest(tensors: Mapping[str, torch.Tensor], info: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(info).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"The feature cache cannot be written: {path}: {error.strerror or error}. Free space there, choose "
        f"another folder with --cache-dir, or run with --no-cache."
    )
