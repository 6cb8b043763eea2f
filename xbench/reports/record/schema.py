"""The record of a run: everything that can change its numbers, in one JSON file with a schema."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    computed_field,
    model_serializer,
)
from pydantic import model_validator as validates

from xbench.errors import UsageError
from xbench.metrics.measures import parse_measures
from xbench.registry.datasets import CUSTOM, benchmarks
from xbench.terms import Direction, Post, Ties, V2TRule

SCHEMA_VERSION: Final = 2
DIRECTIONS: tuple[Direction, ...] = ("t2v", "v2t")


CHANGES_MEANING: Final = "changes what the numbers mean"
"""Marks a field whose value, other than its default, a reader must know to understand the numbers."""


class _Part(BaseModel):
    """Values are fixed and finite; a key that a newer xbench wrote is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Metric(_Part):
    """One number with its 95% interval; recalls in percent."""

    value: float
    low: float | None = None
    high: float | None = None
    rough: bool = False
    """Whether there are too few queries for the interval to hold the true value in 95% of such sets."""

    @model_serializer(mode="wrap")
    def _without_absent_interval(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self).items()
        return {key: value for key, value in fields if value is not None and value is not False}


class Fingerprint(_Part):
    """Counts and sha256 hashes of what was loaded, as in xbench.data.split."""

    videos: int
    captions: int
    ids: str
    pairs: str
    pairs_sorted: str
    pairs_ws_normalised_sorted: str
    windows: str | None = None
    """Of the seconds of each video that are scored; None if all are scored whole, or in older records."""

    @model_serializer(mode="wrap")
    def _without_absent_windows(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class DifferencesRecord(_Part):
    """In what the loaded files differ from a protocol, as video ids; changed: of both, with other text."""

    protocol: str
    missing: list[str] = []
    extra: list[str] = []
    changed: list[str] = []


class ProtocolRecord(_Part):
    """Which protocol was asked for and which one the loaded files are."""

    requested: str
    matched: str | None = None
    """The known protocol whose fingerprint the split has; None when it has none."""
    title: str = ""
    v2t: Annotated[V2TRule, CHANGES_MEANING] = "group-max"
    fingerprint: Fingerprint
    source: str | None = None
    """Where the annotations came from, with the revision, when they came from a hub."""
    notes: list[str] = []
    """What recognition said: in what the files differ, which mishap they show."""
    differences: list[DifferencesRecord] = []
    """Of files that are no known protocol, all that differs, where the notes name two."""

    @model_serializer(mode="wrap")
    def _without_no_differences(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value or name != "differences"}


class Damage(_Part):
    """A video of which fewer frames could be decoded than were wanted."""

    id: str
    wanted: int | None = None
    got: int | None = None
    cause: str


class VideoNote(_Part):
    """Something about one video that a reader should know and that is no damage."""

    id: str
    note: str


class Videos(_Part):
    """What became of the gallery."""

    wanted: int
    scored: int
    missing: list[str] = []
    damaged: list[Damage] = []
    notes: list[VideoNote] = []
    looks: dict[str, dict[str, int]] = {}
    """Histograms of the files, e.g. {"size": {"320x240": 1004}, "fps": {...}, "codec": {...}}."""
    other_pixels: int | None = None
    """How many give other pixels under the other pixel rule (setting `pixels`); older records do not tell."""
    contents: str | None = None
    """sha256 of which file content each id had, see `contents_digest`; None where no files were read, and in
    older records."""

    @model_serializer(mode="wrap")
    def _without_untold(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self).items()
        untold = {"other_pixels", "contents"}
        return {key: value for key, value in fields if key not in untold or value is not None}


class ScorerRecord(_Part):
    """The model: its settings for a reader, its identity for the cache."""

    name: str
    settings: dict[str, JsonValue] = {}
    identity: dict[str, JsonValue] | None = None
    published: str | None = None
    """The name under which papers print what it computes; older records do not tell."""
    zero_shot: bool | None = None
    """Whether its weights have seen none of the benchmark; None where nothing tells."""

    @property
    def is_zero_shot(self) -> bool:
        """Whether it is known to be; older records tell by the name alone."""
        return self.name.endswith("zeroshot") if self.zero_shot is None else self.zero_shot

    def setting(self, name: str) -> str | None:
        """Return a setting that is text, such as `backbone`; None without it."""
        value = self.settings.get(name)
        return value if isinstance(value, str) else None


class Checkpoint(_Part):
    """The weights that were loaded."""

    file: str
    sha256: str


class Settings(_Part):
    """Options of the run by the keywords of `xbench.run`, those given apart from those left at their default.

    Of several benchmarks in one command only what was meant for this one, e.g. its own checkpoint.
    """

    passed: dict[str, JsonValue] = {}
    defaulted: dict[str, JsonValue] = {}


class TieRecord(_Part):
    """How ties were ranked, and what the policy met."""

    policy: Annotated[Ties, CHANGES_MEANING] = Ties.AVERAGE
    tied: dict[Direction, int] = {}
    """Queries whose right item ties with another."""
    vanished: dict[Direction, int] = {}
    """Queries that `reference` left out of the denominator, as the published code does."""


class FirstStageRecord(_Part):
    """What found the candidates of a second stage: a model, or a saved matrix."""

    name: str
    settings: dict[str, JsonValue] = {}
    identity: dict[str, JsonValue] | None = None
    """As a scorer's; None for a matrix."""
    file: Checkpoint | None = None
    """The matrix, or the weights; None for a model in memory."""


class Reranked(_Part):
    """The scorer is the second of two stages: ranks are its own inside k, the first stage's outside.

    The candidates of a query are the items that fewer than k others beat in the first stage.
    """

    k: int = Field(ge=1)
    first: FirstStageRecord
    pairs: int = Field(ge=1)
    """Distinct pairs that the second stage scored."""
    outside: dict[Direction, int]
    """Queries whose right item is no candidate; the best second stage cannot find it."""
    wider: dict[Direction, int]
    """Queries that have more than k candidates, for ties with the k-th."""


class PerQueryFile(_Part):
    """The counts of every query, beside the record."""

    file: str = Field(pattern="^[^\\x00]+$")
    sha256: str


class Selection(_Part):
    """How a checkpoint was chosen: the best of so many tried, by a measure, on a protocol."""

    tried: int
    by: str
    on: str


class Record(_Part):
    """One run. Saved by xbench.reports.record.files; `metrics["t2v"]["R@1"].value` is a percentage."""

    schema_version: Literal[2] = SCHEMA_VERSION
    created: str
    """UTC, ISO 8601."""
    benchmark: str
    label: str = ""
    """What its user calls it, to tell it from others of its scorer; it changes nothing that was measured."""
    miniature: bool = False
    """The rendered stand-in for the benchmark; never stands beside results of the benchmark."""
    protocol: ProtocolRecord
    videos: Videos
    comparable: bool
    """With published rows of the matched protocol."""
    not_comparable_because: list[str] = []
    scorer: ScorerRecord
    checkpoint: Checkpoint | None = None
    settings: Settings = Settings()
    precision: str = ""
    device: str = ""
    post_processing: Annotated[Post, CHANGES_MEANING] = "none"
    reranked: Annotated[Reranked | None, CHANGES_MEANING] = None
    """How the scorer was the second of two stages; None where it scored every pair."""
    versions: dict[str, str] = {}
    git: str | None = None
    """Revision of xbench, with `-dirty` for changed files; None outside a checkout."""
    timings: dict[str, float] = {}
    """Seconds per stage."""
    queries: dict[Direction, int]
    ties: TieRecord = TieRecord()
    metrics: dict[Direction, dict[str, Metric]] = Field(min_length=1)
    per_query: PerQueryFile | None = None
    selection: Selection | None = None
    """How its checkpoint was chosen, where `xbench sweep` did; None where nothing is known."""
    chosen_on_test_among: Annotated[int, CHANGES_MEANING] = 0
    """So many checkpoints were compared on videos that this number is of; 0: none were."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def must_understand(self) -> list[str]:
        """The fields that a reader has to know, or it must not use the record: they change what it means."""
        return list(_changing_meaning(self))

    @validates(mode="after")
    def _comparable_means_no_reason(self) -> Self:
        reasons = self.not_comparable_because
        if self.comparable == bool(reasons):
            raise ValueError(f"comparable is {self.comparable}, but there are {len(reasons)} reasons against")
        if self.comparable and scoring_reasons(self.ties.policy, self.post_processing, self.reranked):
            raise ValueError(
                "a result with other ties than average, re-ranked or with"
                " post-processing cannot be comparable"
            )
        return self

    @validates(mode="after")
    def _measures_are_known(self) -> Self:
        try:
            for side in self.metrics.values():
                parse_measures(",".join(side))
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self


def _changing_meaning(part: BaseModel, prefix: str = "") -> Iterator[str]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if CHANGES_MEANING in field.metadata and value != field.default:
            yield prefix + name
        if isinstance(value, BaseModel):
            yield from _changing_meaning(value, f"{prefix}{name}.")


def scoring_reasons(ties: Ties, post_processing: str = "none", reranked: Reranked | None = None) -> list[str]:
    """Return why a way of scoring cannot stand beside published rows; empty for the honest one."""
    reasons = []
    if ties is not Ties.AVERAGE:
        reasons.append(f"ties ranked {ties.value}, not average")
    if post_processing != "none":
        looked = "a bank of captions" if post_processing == "qbnorm" else "the whole test set"
        reasons.append(f"post-processing ({post_processing}) looked at {looked}")
    if reranked is not None:
        reasons.append(f"{reranking(reranked)}: published rows are of one stage, unless they say the same")
    return reasons


def reranking(reranked: Reranked) -> str:
    """Say what a second stage was given: `re-ranked the first 128 of clip4clip meanP`."""
    variant = reranked.first.settings.get("variant")
    return f"re-ranked the first {reranked.k} of {reranked.first.name}{f' {variant}' if variant else ''}"


def processing_of(record: Record) -> str:
    """Return what was made of the scores beside ranking them, in the words of published rows."""
    return "rerank" if record.reranked is not None else record.post_processing


_DIGITS = 8
_OWN = " (own benchmark "


def is_own(record: Record) -> bool:
    """Whether the content is the user's own: their list, a limited set, or files that are no protocol."""
    return record.protocol.matched is None or record.protocol.requested == CUSTOM


def protocol_of(record: Record) -> str:
    """Return the protocol whose content was scored; own content bears a short hash of what was scored.

    Two results have the same name only if they scored the same videos and captions, or if both are of a known
    protocol (then a partial gallery is a reason against comparing, not another name). A protocol that a
    user's file names bears the hash of what it says, since two users may give one name to two benchmarks.
    """
    if record.miniature:
        return f"{record.protocol.requested}, miniature"
    matched = record.protocol.matched
    if matched is None or is_own(record):
        return f"{record.protocol.requested} (own content {_content(record, *sorted(unscored(record)))})"
    return f"{matched}{_OWN}{_content(record)})" if is_of_own_benchmark(record) else matched


def is_of_own_benchmark(record: Record) -> bool:
    """Whether the protocol is one that a user's file names, with which nothing published can be compared."""
    return record.benchmark not in benchmarks()


def is_called(name: str, protocol: str) -> bool:
    """Whether a name that `protocol_of` returns is that of a protocol, whoever defined it."""
    return name == protocol or name.startswith(f"{protocol}{_OWN}")


def unscored(record: Record) -> set[str]:
    """Return the videos of the split that are not in the gallery: missing, or without a single frame."""
    videos = record.videos
    return {*videos.missing, *(damaged.id for damaged in videos.damaged if not damaged.got)}


def _content(record: Record, *more: str) -> str:
    found = record.protocol.fingerprint
    parts = [found.ids, found.pairs_ws_normalised_sorted, record.protocol.v2t, *more]
    if found.windows is not None and is_of_own_benchmark(record):
        parts.append(found.windows)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


def model_name(record: Record) -> str:
    """Return the scorer's name with its backbone and label, and the post-processing that it was given."""
    backbone = record.scorer.settings.get("backbone")
    post = f" + {record.post_processing}" if record.post_processing != "none" else ""
    if record.reranked is not None:
        post += f", {reranking(record.reranked)}"
    label = f", {label_of(record)}" if label_of(record) else ""
    return f"{record.scorer.name}{f' {backbone}' if backbone else ''}{label}{post}"


def label_of(record: Record) -> str:
    """Return what its user calls it, and whether it is the best of several on the set it is scored on."""
    among = record.chosen_on_test_among
    chosen = f"(chosen on test among {among})" if among else ""
    return " ".join(part for part in (record.label, chosen) if part)
