"""What a run saw and measured, as a result record."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from xbench.data.recognition import Recognition
from xbench.data.split import Split
from xbench.metrics.counts import Counts
from xbench.pipeline.environment import git_revision, versions
from xbench.pipeline.gallery import Fault
from xbench.pipeline.request import Request
from xbench.registry.datasets import protocols
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import (
    Checkpoint,
    DamagedVideo,
    Fingerprint,
    ProtocolRecord,
    Result,
    ScorerRecord,
    Settings,
    VideoNote,
    Videos,
    scoring_reasons,
)
from xbench.reports.record.scoring import scored
from xbench.terms import Post


class Clock:
    """Adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a `with` block under a name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


@dataclass(frozen=True)
class Seen:
    """What there was to score: the split as loaded, what it is, and what of it was scored."""

    loaded: Split
    recognition: Recognition
    scored: Split
    missing: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Video id -> what was seen while it was decoded (`source`, `looks`, `notes`)."""
    notes: Sequence[str] = ()
    """Sentences about the files as a whole."""


@dataclass(frozen=True)
class Scoring:
    """What scored: its description for the record. A matrix from elsewhere has a name and nothing else."""

    scorer: ScorerRecord
    checkpoint: Checkpoint | None = None
    precision: str = ""
    device: str = ""


Rows = dict[Post, tuple[Counts, Counts]]
"""The (t2v, v2t) counts of each way of scoring: raw, and with post-processing."""
Outcome = tuple[Result, PerQuery]
"""A record and the per-query counts that belong to it."""


def make_records(
    request: Request, seen: Seen, scoring: Scoring, rows: Rows, seconds: dict[str, float]
) -> list[Outcome]:
    """Return an outcome for each way of scoring, the raw one first.

    Raises DataError for scores that are not finite, unless ties are counted as the published code does.
    """
    return [_record(request, seen, scoring, counts, post, seconds) for post, counts in rows.items()]


def _record(  # noqa: PLR0917  (every one is a field of the record)
    request: Request,
    seen: Seen,
    scoring: Scoring,
    counts: tuple[Counts, Counts],
    post: Post,
    seconds: dict[str, float],
) -> Outcome:
    t2v, v2t = counts
    reasons = _reasons(request, seen, post)
    result = Result(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        benchmark=request.benchmark,
        miniature=request.miniature,
        protocol=_protocol(seen),
        videos=_videos(seen),
        comparable=not reasons,
        not_comparable_because=reasons,
        scorer=scoring.scorer,
        checkpoint=scoring.checkpoint,
        settings=Settings(passed=request.passed, defaulted=request.defaulted),
        precision=scoring.precision,
        device=scoring.device,
        post_processing=post,
        versions=versions(),
        git=git_revision(),
        timings=seconds,
        **scored(t2v, v2t, seen.scored.caption_to_video, ties=request.ties, measures=request.measures),
    )
    captions = [caption.text for caption in seen.scored.captions]
    ids = [video.id for video in seen.scored.videos]
    return result, PerQuery.of(t2v, v2t, seen.scored.caption_to_video, captions, ids)


def _reasons(request: Request, seen: Seen, post: Post) -> list[str]:
    reasons = ["this is the miniature, a rendered stand-in for the benchmark"] if request.miniature else []
    reasons += seen.recognition.reasons
    if seen.missing:
        reasons.append(f"{len(seen.missing)} of {len(seen.loaded.videos)} videos are missing")
    if seen.faults:
        reasons.append(f"{len(seen.faults)} of {len(seen.loaded.videos)} videos are damaged or unreadable")
    return reasons + scoring_reasons(request.ties, post)


def _protocol(seen: Seen) -> ProtocolRecord:
    matched = seen.recognition.protocol
    known = protocols().get(matched or seen.loaded.protocol)
    return ProtocolRecord(
        requested=seen.loaded.protocol,
        matched=matched,
        title=known.title if known else "",
        v2t=seen.loaded.v2t,
        fingerprint=Fingerprint(**asdict(seen.loaded.fingerprint())),
        source=seen.loaded.source,
        notes=[*seen.recognition.notes, *seen.notes],
    )


def _videos(seen: Seen) -> Videos:
    return Videos(
        wanted=len(seen.loaded.videos),
        scored=len(seen.scored.videos),
        missing=list(seen.missing),
        damaged=[
            DamagedVideo(id=fault.id, wanted=fault.wanted, got=fault.got, cause=fault.cause)
            for fault in seen.faults
        ],
        notes=[
            VideoNote(id=video, note=note)
            for video, facts in seen.facts.items()
            for note in facts.get("notes", ())
        ],
        looks=_looks(list(seen.facts.values())),
    )


def _looks(facts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Histograms of the files, so that originals and re-encoded copies can be told apart."""
    looks = [each["looks"] for each in facts if "looks" in each]
    histograms = {
        "size": Counter(f"{look['width']}x{look['height']}" for look in looks),
        "fps": Counter(f"{look['fps']:.3f}".rstrip("0").rstrip(".") for look in looks),
        "codec": Counter(look["codec"] for look in looks),
        "frames taken": Counter(str(len(each["source"])) for each in facts if "source" in each),
    }
    return {name: dict(histogram.most_common()) for name, histogram in histograms.items() if histogram}
