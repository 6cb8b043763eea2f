"""checkpoints.yaml as typed values: models by name, weights with the sha256 that makes them trusted.

A user's file is layered over the one that ships. One that $XBENCH_CHECKPOINTS names is the user's word: it
may replace entries and name code. ./checkpoints.yaml, which may have come with a download, only adds names.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from xbench.errors import UsageError, os_errors
from xbench.registry import shipped
from xbench.registry.lined import read_lined
from xbench.registry.pins import pins
from xbench.registry.scorers import SHIPPED
from xbench.storage import user_path

VARIABLE = "XBENCH_CHECKPOINTS"
"""Names the user's file; set to nothing, ./checkpoints.yaml is left out, too."""

_FILE = "checkpoints.yaml"
_SHA256 = "^[0-9a-f]{64}$"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


PLACES = ("clip", "file", "url", "hub", "by_hand")
"""Where the weights of an entry can be, by its keys."""


class Listed(_Entry):
    """A file that can be fetched, and what it must then be."""

    url: str = Field(pattern="^https://")
    sha256: str = Field(pattern=_SHA256)
    bytes: int | None = Field(default=None, gt=0)
    source: str
    """Where url and sha256 were read."""
    note: str = ""


class XClipNote(_Entry):
    """What is known about weights of X-CLIP itself."""

    released: str
    note: str


class Reproduces(_Entry):
    """The published row that a checkpoint should give again, by the names in results/published.csv."""

    model: str
    benchmark: str
    backbone: str | None = None
    protocol: str | None = None
    train_split: str | None = None
    """Where papers print rows of several."""


class Named(_Entry):
    """A model by name: which scorer, which weights and settings. One of clip, file, url, hub and by_hand."""

    scorer: str
    """As given to --model: a name, file.py:Class (relative to this file), or package.module:Class."""
    clip: str | None = None
    """A backbone of the section `clip`."""
    file: str | None = None
    """Weights on this machine, relative to this file."""
    url: str | None = Field(default=None, pattern="^https://")
    hub: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """A Hugging Face hub id."""
    by_hand: str | None = Field(default=None, pattern="^https://")
    """A page from which a person downloads the weights, whose publisher gives no hash: unverified. It runs
    once it is pinned, see `pins`; `file` and `sha256` are then the pin's."""
    sha256: str | None = Field(default=None, pattern=_SHA256)
    bytes: int | None = Field(default=None, gt=0)
    """Of what is fetched from `url`."""
    settings: dict[str, JsonValue] = {}
    """`precision`, `bpe`, and what --model-args takes."""
    source: str = ""
    licence: str = ""
    note: str = ""
    reproduces: Reproduces | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        places = [name for name in PLACES if getattr(self, name) is not None]
        if len(places) > 1:
            raise ValueError(f"give one of {', '.join(PLACES)}, not {' and '.join(places)}")
        if self.url is not None and self.sha256 is None:
            raise ValueError("a url needs its sha256")
        if self.sha256 is not None and self.file is None and self.url is None:
            raise ValueError("sha256 belongs to a file or url")
        return self

    @property
    def listed(self) -> Listed | None:
        """What is fetched from `url`; None without one."""
        if self.url is None or self.sha256 is None:
            return None
        return Listed(url=self.url, sha256=self.sha256, bytes=self.bytes, source=self.source)

    def below(self, folder: Path) -> "Named":
        """Return the entry with paths relative to a folder made absolute."""
        changed: dict[str, Any] = {}
        if self.file is not None:
            changed["file"] = str(folder / user_path(self.file))
        path, separator, name = self.scorer.rpartition(":")
        if separator and path.endswith(".py"):
            changed["scorer"] = f"{folder / user_path(path)}:{name}"
        if isinstance(bpe := self.settings.get("bpe"), str):
            changed["settings"] = self.settings | {"bpe": str(folder / user_path(bpe))}
        return self.model_copy(update=changed)


class Layer(_Entry):
    """What a user's file may hold. Its entries win over shipped ones of the same name."""

    clip: dict[str, Listed] = {}
    """CLIP weights by backbone, e.g. `ViT-B/32`. Archives with code in them are trusted by this list."""
    vocabulary: dict[str, Listed] = {}
    checkpoints: dict[str, Named] = {}


class Checkpoints(Layer):
    """The whole of checkpoints.yaml."""

    xclip: XClipNote
    unnamed: dict[str, str] = {}
    """Entry -> the file that it comes from, for a file that the user did not name: its code is not run."""

    @property
    def trusted(self) -> frozenset[str]:
        """The sha256 of the TorchScript archives that may be opened, although they can hold code."""
        return frozenset(entry.sha256 for entry in self.clip.values())


def checkpoints() -> Checkpoints:
    """Return the shipped checkpoints.yaml with the user's file over it, and what the user pinned in it.

    Raises UsageError naming file, line and key of every fault in the user's file, and for names in it that
    are a scorer's, or that it may not replace.
    """
    base, path = _shipped(), user_file()
    return _with_pins(base if path is None else _layered(base, path))


def read_checkpoints(path: Path) -> Checkpoints:
    """Read and validate a file in the format of the shipped checkpoints.yaml."""
    return read_lined(path, Checkpoints)


def user_file() -> Path | None:
    """Return the user's file: $XBENCH_CHECKPOINTS, which must exist, else ./checkpoints.yaml, else None."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        path = user_path(chosen)
        with os_errors(UsageError, f"{VARIABLE} cannot be read"):
            there = path.is_file()
        if not there:
            raise UsageError(
                f"{VARIABLE} names {path}, and there is no such file: check the path, or unset it."
            )
        return path
    here = Path(_FILE)
    if chosen is not None or not here.is_file() or here.samefile(shipped(_FILE)):
        return None
    return here.resolve()


@cache
def _shipped() -> Checkpoints:
    return read_checkpoints(shipped(_FILE))


def _layered(base: Checkpoints, path: Path) -> Checkpoints:
    layer, chosen = read_lined(path, Layer), bool(os.environ.get(VARIABLE))
    _refuse_taken(layer, base, path, chosen)
    named = {name: entry.below(path.parent) for name, entry in layer.checkpoints.items()}
    return base.model_copy(
        update={
            "clip": base.clip | layer.clip,
            "vocabulary": base.vocabulary | layer.vocabulary,
            "checkpoints": base.checkpoints | named,
            "unnamed": {} if chosen else dict.fromkeys(named, str(path)),
        }
    )


def _with_pins(found: Checkpoints) -> Checkpoints:
    pinned = {
        name: entry.model_copy(update={"file": pin.file, "sha256": pin.sha256})
        for name, pin in pins().items()
        if (entry := found.checkpoints.get(name)) is not None and entry.by_hand is not None
    }
    return found.model_copy(update={"checkpoints": found.checkpoints | pinned}) if pinned else found


def _refuse_taken(layer: Layer, base: Checkpoints, path: Path, chosen: bool) -> None:
    """Refuse what a user's file may not say: names of scorers, and in one that nobody named, shipped ones."""
    for name in layer.checkpoints.keys() & SHIPPED.keys():
        raise UsageError(
            f"{path}: checkpoints.{name}: {name} is a scorer that comes with xbench, so --model {name} would "
            "never find this entry: choose another name."
        )
    if chosen:
        return
    if layer.clip:
        raise UsageError(
            f"{path}: the section clip says which archives may run code, so it counts only in a file that "
            f"you name: set {VARIABLE}={path}."
        )
    for section in ("checkpoints", "vocabulary"):
        for name in sorted(getattr(layer, section).keys() & getattr(base, section).keys()):
            raise UsageError(
                f"{path}: {section}.{name} comes with xbench, and a file that happens to be in the current "
                f"folder does not replace it. If that is meant, name the file: {VARIABLE}={path}."
            )
