"""What a run saw and measured, and what of the environment can change it, as a record."""

import hashlib
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from xbench.data.split import Split
from xbench.metrics.counts import Counts
from xbench.metrics.dsl import is_one_to_one
from xbench.pipeline.bank import remarks
from xbench.pipeline.gallery import Fault
from xbench.pipeline.plan import Plan
from xbench.pipeline.trust import NO_DOUBT, Trust
from xbench.registry.datasets import Protocol, protocols
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery, scored
from xbench.reports.record.schema import (
    Checkpoint,
    Damage,
    DifferencesRecord,
    Fingerprint,
    ProtocolRecord,
    Record,
    Reranked,
    ScorerRecord,
    Settings,
    VideoNote,
    Videos,
    scoring_reasons,
)
from xbench.storage import file_sha256
from xbench.terms import Post, V2TRule

_LIBRARIES = ("torch", "transformers", "numpy", "av", "pillow", "ftfy", "regex", "safetensors")


def versions() -> dict[str, str]:
    """Return the versions of xbench, Python and the libraries that can change a number."""
    own = {"xbench": _version("xbench"), "python": platform.python_version()}
    return own | {name: _version(name) for name in _LIBRARIES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def code_digest(own: str | None = None) -> str:
    """Return the sha256 of the code of xbench and, where it is another file, of a scorer's own, in hex."""
    files = sorted(Path(__file__).resolve().parents[1].rglob("*.py"))
    digest = hashlib.sha256()
    for path in [*files, *([Path(own)] if own and Path(own).is_file() else [])]:
        digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def git_revision() -> str | None:
    """The revision of the checkout that xbench runs from, None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


_CPU_INFO = Path("/proc/cpuinfo")


@contextmanager
def computing_threads(threads: int) -> Iterator[None]:
    """Within, torch computes in so many threads, whatever the machine has and the environment says."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def computing(threads: int, device: str) -> dict[str, str | int]:
    """Return what changes last bits of features and scores; the GPU is among what a scorer says of itself."""
    return {"threads": threads} | ({} if device.startswith("cuda") else {"cpu": cpu_kind()})


def slow_bfloat16(device: str) -> bool:
    """Whether a CPU computes and has no instructions for bfloat16, so that it is slower than float32."""
    flags = _cpu_lines("flags")
    return device == "cpu" and bool(flags) and not {"avx512_bf16", "amx_bf16"} & set(flags[0].split())


def cpu_kind() -> str:
    """Return the name of the CPU, and of the instructions that torch chooses its operations by."""
    name = (*_cpu_lines("model name"), platform.processor() or platform.machine())[0]
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_lines(what: str) -> list[str]:
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(what)]


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
    """What of a plan's split was scored, and what was seen of its videos."""

    scored: Split
    missing: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Video id -> what was seen while it was decoded (`source`, `looks`, `notes`)."""
    notes: Sequence[str] = ()
    """Sentences about the files as a whole."""
    reasons: Sequence[str] = ()
    """Why numbers on these files are not comparable."""
    contents: str | None = None
    """The digest of the files."""
    trust: Trust = NO_DOUBT
    """What the ranks say of the order of the scores."""


@dataclass(frozen=True)
class Scoring:
    """What scored: its description for the record. A matrix from elsewhere has a name and nothing else."""

    scorer: ScorerRecord
    checkpoint: Checkpoint | None = None
    precision: str = ""
    device: str = ""
    reranked: Reranked | None = None
    """What a second stage did, where this was one."""


CountsByPost = dict[Post, tuple[Counts, Counts]]
"""The (t2v, v2t) counts of each way of scoring: raw, and with post-processing."""


def make_records(
    plan: Plan, seen: Seen, scoring: Scoring, counts: CountsByPost, seconds: dict[str, float]
) -> list[Measurement]:
    """Return a record for each way of scoring, the raw one first.

    Raises DataError for scores that are not finite, unless ties are counted as the published code does.
    """
    return [_record(plan, seen, scoring, both, post, seconds) for post, both in counts.items()]


def _record(  # noqa: PLR0917  (every one is a field of the record)
    plan: Plan,
    seen: Seen,
    scoring: Scoring,
    counts: tuple[Counts, Counts],
    post: Post,
    seconds: dict[str, float],
) -> Measurement:
    t2v, v2t = counts
    reasons = _reasons(plan, seen, post, scoring.reranked)
    record = Record(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        benchmark=plan.split.benchmark,
        label=plan.label,
        miniature=plan.miniature,
        protocol=_protocol(plan, seen, post),
        videos=_videos(plan, seen),
        comparable=not reasons,
        not_comparable_because=reasons,
        scorer=scoring.scorer,
        checkpoint=scoring.checkpoint,
        settings=Settings(passed=plan.passed, defaulted=plan.defaulted),
        precision=scoring.precision,
        device=scoring.device,
        post_processing=post,
        reranked=scoring.reranked,
        versions=versions(),
        git=git_revision(),
        timings=seconds,
        **scored(t2v, v2t, seen.scored.caption_to_video, ties=plan.ties, measures=plan.measures),
    )
    captions = [caption.text for caption in seen.scored.captions]
    ids = [video.id for video in seen.scored.videos]
    return Measurement(record, PerQuery.of(t2v, v2t, seen.scored.caption_to_video, captions, ids))


def _reasons(plan: Plan, seen: Seen, post: Post, reranked: Reranked | None) -> list[str]:
    reasons = ["this is the miniature, a rendered stand-in for the benchmark"] if plan.miniature else []
    reasons += plan.recognition.reasons
    if seen.missing:
        reasons.append(f"{len(seen.missing)} of {len(plan.split.videos)} videos are missing")
    if seen.faults:
        reasons.append(f"{len(seen.faults)} of {len(plan.split.videos)} videos are damaged or unreadable")
    return [*reasons, *seen.reasons, *seen.trust.reasons, *scoring_reasons(plan.ties, post, reranked)]


def _rule_notes(rule: V2TRule, known: Protocol | None) -> list[str]:
    if known is None or known.v2t == rule:
        return []
    return [
        f"v2t counts by {rule}, the protocol by {known.v2t}: v2t stands beside numbers of the same rule only"
    ]


def _post_notes(plan: Plan, seen: Seen, post: Post) -> list[str]:
    captions, videos = seen.scored.captions, len(seen.scored.videos)
    if post == "dsl" and not is_one_to_one(seen.scored.caption_to_video, videos):
        return [
            "dual softmax was forced: it assumes that each video belongs to exactly one caption, which is"
            f" false here ({len(captions):,} captions of {videos:,} videos)"
        ]
    if post == "qbnorm" and plan.bank is not None:
        return remarks(plan.bank, [caption.text for caption in captions])
    return []


def _protocol(plan: Plan, seen: Seen, post: Post) -> ProtocolRecord:
    matched = plan.recognition.protocol
    known = protocols().get(matched or plan.split.protocol)
    return ProtocolRecord(
        requested=plan.split.protocol,
        matched=matched,
        title=known.title if known else "",
        v2t=plan.split.v2t,
        fingerprint=Fingerprint(**asdict(plan.split.fingerprint())),
        source=plan.split.source,
        notes=[
            *plan.recognition.notes,
            *seen.notes,
            *_pixel_note(seen),
            *seen.trust.notes,
            *_rule_notes(plan.split.v2t, known),
            *_post_notes(plan, seen, post),
        ],
        differences=[DifferencesRecord(**asdict(each)) for each in plan.recognition.differences],
    )


def _pixel_note(seen: Seen) -> list[str]:
    differ = [video for video, facts in seen.facts.items() if facts.get("pixels_differ")]
    if not differ:
        return []
    return [
        f"{len(differ)} of {len(seen.facts)} videos give other pixels under the other rule of --pixels, e.g. "
        f"{', '.join(differ[:3])}"
    ]


def _videos(plan: Plan, seen: Seen) -> Videos:
    return Videos(
        wanted=len(plan.split.videos),
        scored=len(seen.scored.videos),
        missing=list(seen.missing),
        damaged=[
            Damage(id=fault.id, wanted=fault.wanted, got=fault.got, cause=fault.cause)
            for fault in seen.faults
        ],
        notes=[
            VideoNote(id=video, note=note)
            for video, facts in seen.facts.items()
            for note in facts.get("notes", ())
        ],
        looks=_looks(list(seen.facts.values())),
        other_pixels=sum(bool(facts.get("pixels_differ")) for facts in seen.facts.values()),
        contents=seen.contents,
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
