"""datasets.yaml as typed values: the benchmarks and their protocols."""

from functools import cache
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from xbench.errors import UsageError, did_you_mean
from xbench.registry import shipped
from xbench.terms import V2TRule

Sha256 = Field(pattern="^[0-9a-f]{64}$")
CUSTOM = "custom"
"""The protocol of a user's own list of videos and captions."""

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


class Protocol(_Entry):
    """Exactly what is scored, as data. `id` is `<benchmark>/<name>`."""

    id: str
    benchmark: str
    title: str
    rule: str
    files: tuple[str | tuple[str, ...], ...]
    """What it is read from; of a nested tuple one file is enough."""
    read: dict[str, Any] | None = None
    """Settings of the benchmark's adapter, which validates them; None if it is only recognised."""
    videos: int | None = None
    captions: int
    sha256: Hashes | None = None
    windows: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """`window_hash` of xbench.data.recognition: the annotated durations, where they limit the frames."""
    v2t: V2TRule = "group-max"
    words: int
    frames: int
    hub: Hub | None = None
    used_by: tuple[Use, ...] = ()
    mishap: str | None = None
    """What happened to the data when this is found where another protocol was asked for."""
    recognised_only: bool = False
    validation: bool = False
    """A validation set: runs, but never stands beside test rows."""

    @model_validator(mode="after")
    def _is_either_runnable_or_recognised_only(self) -> Self:
        if self.recognised_only == (self.read is not None):
            raise ValueError(f"{self.id}: give `read`, or `recognised_only: true`, not both")
        return self


class Source(_Entry):
    """A file in a public repository at a pinned commit."""

    repository: str
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    path: str


class Download(_Entry):
    """A file by its content, and where it is known to stand; the first address that gives it is enough."""

    bytes: int
    sha256: str = Sha256
    sources: tuple[Source, ...] = ()

    @field_validator("sources", mode="before")
    @classmethod
    def _name_parts(cls, value: list[list[str]]) -> list[dict[str, str]]:
        return [dict(zip(("repository", "commit", "path"), source, strict=True)) for source in value]


class AnnotationFile(Download):
    """An annotation file that can be fetched, by itself or in a zip archive."""

    zip: Download | None = None


class Benchmark(_Entry):
    """One of the five data sets: where its files stand, how the published code treats it, its protocols."""

    id: str
    name: str
    annotations: str
    """Default folder of the annotation files, below $XBENCH_DATA."""
    videos: str
    """Default folder of the video files, below $XBENCH_DATA."""
    default_protocol: str
    words: int
    frames: int
    window: Window
    annotations_from: str
    videos_from: str
    licence: str
    fetch: dict[str, AnnotationFile]
    """Annotation files by name that may be downloaded."""
    protocols: dict[str, Protocol]
    """By full id, in the order of the file."""

    @field_validator("protocols", mode="before")
    @classmethod
    def _name_protocols(cls, value: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, Any]:
        defaults = {key: info.data[key] for key in ("words", "frames")} | {"benchmark": info.data["id"]}
        ids = {name: f"{info.data['id']}/{name}" for name in value}
        return {ids[name]: defaults | {"id": ids[name]} | entry for name, entry in value.items()}

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_protocol not in self.protocols:
            raise ValueError(f"{self.id}: default_protocol {self.default_protocol!r} is not a protocol of it")
        return self


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All benchmarks by id (`msrvtt`, ...), in the order of datasets.yaml."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(shipped("datasets.yaml").read_text("utf-8"), Loader=loader)["benchmarks"]
    return {name: Benchmark.model_validate({"id": name} | entry) for name, entry in entries.items()}


def protocols() -> dict[str, Protocol]:
    """All protocols of all benchmarks by id."""
    return {name: entry for benchmark in benchmarks().values() for name, entry in benchmark.protocols.items()}


def benchmark(name: str) -> Benchmark:
    """Return one benchmark. An unknown name is a UsageError that suggests the closest."""
    if name not in benchmarks():
        raise UsageError(f"There is no benchmark {name!r}.{did_you_mean(name, benchmarks())}")
    return benchmarks()[name]


def protocol(name: str) -> Protocol:
    """Return one protocol by its full id. An unknown id is a UsageError that suggests the closest."""
    known = protocols()
    if name not in known:
        raise UsageError(f"There is no protocol {name!r}.{did_you_mean(name, known)}")
    return known[name]


def custom_protocol(entry: Benchmark) -> Protocol:
    """Return the protocol of a user's own annotations, scored by the rules of a benchmark."""
    return Protocol(
        id=CUSTOM,
        benchmark=entry.id,
        title="a user's own annotations",
        rule="Every row of a CSV file with the columns video_id and caption, or of a JSONL file with them.",
        files=("a .csv or .jsonl file",),
        read={},
        captions=0,
        words=entry.words,
        frames=entry.frames,
    )
