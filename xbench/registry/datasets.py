"""datasets.yaml as typed values: the benchmarks and their protocols.

A user's own benchmarks stand in a file of the same format: one that is named where a benchmark's name is
asked for (`my.yaml`), or the layer $XBENCH_DATASETS, else ./datasets.yaml. They stand beside the shipped ones
and can neither replace nor extend them.
"""

import filecmp
import math
import os
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from xbench.errors import UsageError, did_you_mean, os_errors
from xbench.registry import shipped
from xbench.registry.lined import read_lined
from xbench.storage import user_path
from xbench.terms import V2TRule

VARIABLE = "XBENCH_DATASETS"
"""Names the user's layer; set to nothing, ./datasets.yaml is left out, too."""
CUSTOM = "custom"
"""The protocol of a user's own list of videos and captions."""

_FILE = "datasets.yaml"
_SUFFIXES = (".yaml", ".yml")
_RESERVED = {"all", CUSTOM}
Sha256 = Field(pattern="^[0-9a-f]{64}$")

Window = Literal["annotated-duration"] | tuple[float, float] | None
"""(start, end) in seconds for every video, or from each video's annotation, or None for the whole clip."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hashes(_Entry):
    """The four sha256 of a protocol, as `Split.fingerprint()` computes them."""

    ids: str = Sha256
    pairs: str = Sha256
    pairs_sorted: str = Sha256
    pairs_ws_normalised_sorted: str = Sha256


class Use(_Entry):
    """A paper or code base that scores this protocol, and where that was read."""

    paper: str
    source: str


class Hub(_Entry):
    """Where Hugging Face data sets of this benchmark keep what this protocol reads."""

    repository: str
    """The best known one; clones have the same layout."""
    config: str | None = None
    split: str
    files: tuple[str, ...]
    """Names in a local copy, beside `<config>/<split>-*.parquet` and the like."""
    column: Literal["caption", "sentences"] = "caption"
    first: bool = False
    """Of several captions in a row, only the first."""


class CaptionFile(_Entry):
    """How a file with a caption a row is read: its name, and what its columns (or keys) are called."""

    file: str
    """Below the benchmark's annotations; .csv or .tsv with a header, .json (a list of objects) or .jsonl."""
    id: str = "video_id"
    caption: str = "caption"
    start: str | None = None
    """Seconds where the scored part of the video starts; without it, it starts with the video."""
    end: str | None = None
    """Seconds where it ends; without it, the whole video is scored."""

    @field_validator("file")
    @classmethod
    def _is_below(cls, value: str) -> str:
        if Path(value).is_absolute() or not value.lower().endswith((".csv", ".tsv", ".json", ".jsonl")):
            raise ValueError("name a .csv, .tsv, .json or .jsonl file, relative to the folder of annotations")
        return value

    @model_validator(mode="after")
    def _ends_where_it_starts(self) -> Self:
        names = [name for name in (self.id, self.caption, self.start, self.end) if name is not None]
        if len(set(names)) < len(names):
            raise ValueError(f"id, caption, start and end need a column each, not {', '.join(names)}")
        if self.start is not None and self.end is None:
            raise ValueError("start needs an end")
        return self


class Protocol(_Entry):
    """Exactly what is scored, as data. `id` is `<benchmark>/<name>`."""

    id: str = Field(pattern="^(custom|[a-z][a-z0-9_]*/[a-z0-9][a-z0-9._-]*)$")
    benchmark: str
    title: str
    rule: str = ""
    files: tuple[str | tuple[str, ...], ...]
    """What it is read from; of a nested tuple one file is enough."""
    read: dict[str, Any] | CaptionFile | None = Field(default=None, union_mode="left_to_right")
    """What the benchmark's room is told, which validates it; None if it is only recognised."""
    videos: int | None = Field(default=None, ge=1)
    captions: int | None = Field(default=None, ge=1)
    sha256: Hashes | None = None
    windows: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """`window_hash` of xbench.data.recognition: the annotated durations, where they limit the frames."""
    v2t: V2TRule = "group-max"
    words: int = Field(ge=1)
    frames: int = Field(ge=1)
    hub: Hub | None = None
    used_by: tuple[Use, ...] = ()
    mishap: str | None = None
    """What happened to the data when this is found where another protocol was asked for."""
    recognised_only: bool = False
    validation: bool = False
    """A validation set: runs, but never stands beside test rows."""

    @model_validator(mode="before")
    @classmethod
    def _reads_its_file(cls, value: Any) -> Any:
        read = value.get("read") if isinstance(value, dict) else None
        return {"files": [read["file"]]} | value if isinstance(read, dict) and "file" in read else value

    @model_validator(mode="after")
    def _is_either_runnable_or_recognised_only(self) -> Self:
        if self.recognised_only == (self.read is not None):
            raise ValueError(f"{self.id}: give `read`, or `recognised_only: true`, not both")
        return self

    def is_content(self, found: "Content") -> bool:
        """Whether a fingerprint is of this protocol; order and white space of the captions do not matter.

        A validation set whose hashes are not public is known by its number of captions alone.
        """
        if self.sha256 is None:
            return self.validation and self.captions == found.captions
        return (self.sha256.ids, self.sha256.pairs_ws_normalised_sorted) == (
            found.ids,
            found.pairs_ws_normalised_sorted,
        )

    @property
    def reasons_against(self) -> list[str]:
        """Why nothing that has this content stands beside published rows; empty for a test protocol."""
        if self.recognised_only:
            return [f"{self.id} is an accident, not a protocol: {self.mishap}"]
        if self.validation:
            return [f"{self.id} is a validation set, which never stands beside test rows"]
        return []


class Content(typing.Protocol):
    """The part of a fingerprint that tells what a split is."""

    @property
    def captions(self) -> int: ...
    @property
    def ids(self) -> str: ...
    @property
    def pairs_ws_normalised_sorted(self) -> str: ...


class Remark(_Entry):
    """What a reader of a model's published numbers on this benchmark must know."""

    model: str
    backbone: str | None = None
    """None: of every backbone."""
    text: str


class PinnedFile(_Entry):
    """A file in a public repository at a pinned commit."""

    repository: str
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    path: str


class Download(_Entry):
    """A file by its content, and where it is known to stand; the first address that gives it is enough."""

    bytes: int
    sha256: str = Sha256
    sources: tuple[PinnedFile, ...] = ()

    @field_validator("sources", mode="before")
    @classmethod
    def _name_parts(cls, value: list[list[str]]) -> list[dict[str, str]]:
        return [dict(zip(("repository", "commit", "path"), source, strict=True)) for source in value]


class AnnotationFile(Download):
    """An annotation file that can be fetched, by itself or in a zip archive."""

    zip: Download | None = None


class Benchmark(_Entry):
    """One data set: where its files stand, how the published code treats it, its protocols."""

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    name: str
    annotations: str
    """Default folder of the annotation files, below $XBENCH_DATA."""
    videos: str
    """Default folder of the video files, below $XBENCH_DATA."""
    default_protocol: str
    words: int = Field(ge=1)
    frames: int = Field(ge=1)
    window: Window = None
    annotations_from: str = ""
    videos_from: str = ""
    licence: str = ""
    fetch: dict[str, AnnotationFile] = {}
    """Annotation files by name that may be downloaded."""
    remarks: tuple[Remark, ...] = ()
    protocols: Mapping[str, Protocol]
    """By full id, in the order of the file."""

    _home: Path | None = PrivateAttr(None)

    @field_validator("window")
    @classmethod
    def _is_a_part(cls, value: Window) -> Window:
        if isinstance(value, tuple) and not 0 <= value[0] < value[1] < math.inf:
            raise ValueError(f"expected seconds, the smaller first, not {value[0]:g} and {value[1]:g}")
        return value

    @property
    def home(self) -> Path | None:
        """The user's file that names it; None for a benchmark that ships with xbench."""
        return self._home

    @model_validator(mode="before")
    @classmethod
    def _hand_down(cls, value: Any) -> Any:
        """Give each protocol its id and the benchmark's words and frames."""
        protocols = value.get("protocols") if isinstance(value, dict) else None
        if not isinstance(protocols, dict) or "id" not in value:
            return value
        handed = {key: value[key] for key in ("words", "frames") if key in value}
        named = {
            name: _identified(entry, handed, id=f"{value['id']}/{name}", benchmark=value["id"])
            for name, entry in protocols.items()
        }
        first = f"{value['id']}/{next(iter(protocols), '')}"
        return {"default_protocol": first} | value | {"protocols": named}

    @field_validator("protocols")
    @classmethod
    def _by_full_id(cls, value: Mapping[str, Protocol]) -> Mapping[str, Protocol]:
        return {entry.id: entry for entry in value.values()}

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_protocol not in self.protocols:
            raise ValueError(f"{self.id}: default_protocol {self.default_protocol!r} is not a protocol of it")
        return self


class OwnProtocol(Protocol):
    """A protocol of a user's benchmark: a file with a caption a row."""

    read: CaptionFile
    recognised_only: Literal[False] = False
    hub: None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {"title": value.get("id")} | value

    @model_validator(mode="after")
    def _fingerprint_is_whole(self) -> Self:
        if self.id.endswith(f"/{CUSTOM}"):
            raise ValueError(f"{CUSTOM} is the protocol of annotations without a benchmark: rename it")
        needed = ["videos", "captions", *(["windows"] if self.read.end else [])]
        lacking = [name for name in needed if getattr(self, name) is None]
        if self.sha256 and lacking:
            said = " and ".join(lacking)
            raise ValueError(f"sha256 without {said}: paste all that `xbench datasets fingerprint` prints")
        return self


class OwnBenchmark(Benchmark):
    """A user's benchmark. Its folders are relative to the file that names it."""

    annotations: str = "."
    videos: str = "videos"
    words: int = Field(default=32, ge=1)
    frames: int = Field(default=12, ge=1)
    window: tuple[float, float] | None = None
    fetch: dict[str, AnnotationFile] = Field(default={}, max_length=0)
    protocols: Mapping[str, OwnProtocol]

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if isinstance(value, dict) and "/" not in str(value.get("default_protocol", "/")):
            value = value | {"default_protocol": f"{value.get('id')}/{value['default_protocol']}"}
        usual = {"words": cls.model_fields["words"].default, "frames": cls.model_fields["frames"].default}
        return {"name": value.get("id"), **usual, **value} if isinstance(value, dict) else value

    @field_validator("id")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in _RESERVED or value in benchmarks():
            raise ValueError(
                f"{value} is a name of xbench's own, which no file can replace or extend: rename it"
            )
        return value


class _File(_Entry):
    """What all files of benchmarks have."""

    benchmarks: Mapping[str, Benchmark]

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _name_benchmarks(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _identified(entry, {}, id=name) for name, entry in value.items()}


class _Shipped(_File):
    @model_validator(mode="after")
    def _test_protocols_have_hashes(self) -> Self:
        """By its counts alone, any file of as many captions would be taken for the protocol."""
        entries = [each for one in self.benchmarks.values() for each in one.protocols.values()]
        bare = [entry.id for entry in entries if entry.sha256 is None and not entry.validation]
        if bare:
            raise ValueError(f"{', '.join(bare)}: a protocol needs its sha256, unless it is a validation set")
        return self


class _Layer(_File):
    benchmarks: Mapping[str, OwnBenchmark] = Field(min_length=1)


def _identified(entry: Any, handed: dict[str, Any], **identity: str) -> Any:
    """Return an entry with what stands above it in the file; it cannot say otherwise."""
    if not isinstance(entry, dict):
        return entry
    if given := sorted(identity.keys() & entry.keys()):
        raise ValueError(f"{identity['id']}: leave out {' and '.join(given)}, which the keys above it say")
    return handed | entry | identity


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """The benchmarks that ship with xbench by id, in the order of datasets.yaml."""
    path = shipped(_FILE)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Shipped.model_validate(yaml.load(path.read_text("utf-8"), Loader=loader)).benchmarks
    except ValidationError:
        return read_lined(path, _Shipped).benchmarks  # slower, and names the line


def known_benchmarks() -> Mapping[str, Benchmark]:
    """The shipped benchmarks and the user's own: of the layer, and of the files named in this process."""
    return {**benchmarks(), **_layer(), **_named}


def protocols() -> dict[str, Protocol]:
    """All protocols of all known benchmarks by id."""
    return {name: entry for one in known_benchmarks().values() for name, entry in one.protocols.items()}


def benchmark(name: str | Path) -> Benchmark:
    """Return one benchmark, by its id or by the user's YAML file that names it and no other.

    From then on this process knows it by its id. Raises UsageError for an unknown name, suggesting the
    closest, and for a file, by line and key, that is not what it should be.
    """
    known = benchmarks().get(str(name)) or _named.get(str(name))
    if known is not None:
        return known
    if str(name).lower().endswith(_SUFFIXES):
        return _from_file(user_path(name))
    every = known_benchmarks()
    if str(name) not in every:
        raise UsageError(
            f"There is no benchmark {str(name)!r}.{did_you_mean(str(name), every)} One of your own: "
            "the path of its YAML file."
        )
    return every[str(name)]


def is_known(name: str, file: object = None) -> bool:
    """Whether a benchmark is known here; `file`, which may have named it, is read if it is there."""
    if name in known_benchmarks():
        return True
    path = str(file).lower().endswith(_SUFFIXES) and user_path(str(file))
    return bool(path and path.is_file() and _from_file(path).id == name)


def find(name: str) -> tuple[Benchmark, Protocol | None]:
    """Return a benchmark by its id or file, or a protocol by its id with its benchmark.

    An unknown name is a UsageError that suggests the closest of both.
    """
    found = find_protocol(name)
    if found is not None:
        return benchmark(found.benchmark), found
    known = {**known_benchmarks(), **protocols()}
    if name not in known and not name.lower().endswith(_SUFFIXES):
        raise UsageError(f"There is no benchmark or protocol {name!r}.{did_you_mean(name, known)}")
    return benchmark(name), None


def protocol(name: str) -> Protocol:
    """Return one protocol by its full id. An unknown id is a UsageError that suggests the closest."""
    found = find_protocol(name)
    if found is None:
        raise UsageError(f"There is no protocol {name!r}.{did_you_mean(name, protocols())}")
    return found


def find_protocol(name: str | None) -> Protocol | None:
    """Return a protocol by its full id, None if it is not known here."""
    owner = (name or "").split("/", maxsplit=1)[0]
    entry = benchmarks().get(owner) or _named.get(owner) or _layer().get(owner)
    return None if entry is None or name is None else entry.protocols.get(name)


def custom_protocol(entry: Benchmark) -> Protocol:
    """Return the protocol of a user's own annotations, scored by the rules of a benchmark."""
    return Protocol(
        id=CUSTOM,
        benchmark=entry.id,
        title="a user's own annotations",
        rule="Every row of a CSV, TSV or JSONL file with the columns video_id and caption.",
        files=("a .csv, .tsv or .jsonl file",),
        read={},
        words=entry.words,
        frames=entry.frames,
    )


_named: dict[str, Benchmark] = {}
"""By id, the benchmarks of the files that were named in this process."""


def _from_file(path: Path) -> Benchmark:
    entries = list(_read_own(path).values())
    if len(entries) > 1:
        ids = ", ".join(entry.id for entry in entries)
        raise UsageError(
            f"{path} names {len(entries)} benchmarks: set {VARIABLE} to it and name one of {ids}."
        )
    (entry,) = entries
    other = _named.get(entry.id) or _layer().get(entry.id)
    if other is not None and other.home != entry.home:
        raise UsageError(f"{entry.home} and {other.home} both name the benchmark {entry.id}: rename one.")
    _named[entry.id] = entry
    return entry


def _layer() -> Mapping[str, Benchmark]:
    """The benchmarks of the user's layer: $XBENCH_DATASETS, which must exist, else ./datasets.yaml."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        path = user_path(chosen)
        with os_errors(UsageError, f"{VARIABLE} cannot be read"):
            there = path.is_file()
        if not there:
            raise UsageError(
                f"{VARIABLE} names {path}, and there is no such file: check the path, or unset it."
            )
        return _read_own(path)
    here = Path(_FILE)
    if chosen is not None or not here.is_file() or filecmp.cmp(here, shipped(_FILE), shallow=False):
        return {}
    return _read_own(here)


def _read_own(path: Path) -> Mapping[str, Benchmark]:
    entries = read_lined(path, _Layer).benchmarks
    for entry in entries.values():
        entry._home = path.resolve()
    return entries
