"""Whether a result proves itself: its hashes, counts, numbers and protocol, one finding for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xbench.errors import DataError
from xbench.metrics.measures import parse_measures
from xbench.registry.datasets import protocols
from xbench.reports.record.files import Measurement, is_named_by_content, read
from xbench.reports.record.per_query import PerQuery, keys_of_videos, scored
from xbench.reports.record.schema import Metric, Record, is_own, protocol_of, unscored
from xbench.terms import Direction

_SAME = 1e-6
"""Relative difference that another version of NumPy or another machine may make."""
_SHOWN = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its name, whether it is right, and what was found."""

    name: str
    right: bool
    said: str


@dataclass(frozen=True)
class Proof:
    """What was found of one result. measured: None where it cannot be read."""

    path: Path
    measured: Measurement | None
    findings: tuple[Finding, ...] = ()
    rescored: dict[str, int | float | str] = field(default_factory=dict)
    """What was computed again and how, for a program; empty where nothing was."""

    @property
    def holds(self) -> bool:
        """Whether everything that was looked at is right."""
        return all(finding.right for finding in self.findings)


KnownIds = Callable[[str], Sequence[str] | None]
"""A fingerprint's hash `ids` -> the video ids that it is of; None where they are not known."""


def prove(path: Path, known_ids: KnownIds) -> Proof:
    """Check all that a record and its counts tell of themselves, without a model or a video."""
    try:
        measured = read(path)
    except DataError as error:
        return Proof(path, None, (Finding("record", False, str(error)),))
    record, counts = measured.record, measured.per_query
    if counts is None:
        claim = f"{measured.without_counts}; without them it is a claim that nothing proves"
        return Proof(path, measured, (Finding("counts", False, claim), _protocol(measured, known_ids)))
    findings = [_counts(counts), _numbers(record, counts), _protocol(measured, known_ids), _name(path)]
    return Proof(path, measured, tuple(findings))


def files_of(paths: list[Path] | tuple[Path, ...]) -> list[Path]:
    """Return files as named, of a folder every .json file in it, for counts their record, each once.

    Raises DataError for a path that is not there and a folder without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside or not path.exists():
            raise DataError(f"{path}: there is no such result; give .json files, or folders that hold some")
        found |= dict.fromkeys(map(_record_of, inside))
    return list(found)


def _record_of(path: Path) -> Path:
    """The record beside a file of counts, as `results/*` names both."""
    beside = path.with_suffix(".json")
    return beside if path.suffix == ".npz" and beside.is_file() else path


def _counts(counts: PerQuery) -> Finding:
    both = f"{len(counts.t2v):,} captions and {len(counts.v2t):,} videos"
    return Finding("counts", True, f"of {both}, in the file whose sha256 the record names")


def _numbers(record: Record, counts: PerQuery) -> Finding:
    """Values agree, or the record could not be read; the intervals are drawn again."""
    names = {side: list(metrics) for side, metrics in record.metrics.items()}
    measures = parse_measures(",".join(dict.fromkeys(name for each in names.values() for name in each)))
    again = scored(
        counts.t2v, counts.v2t, counts.caption_to_video, ties=record.ties.policy, measures=measures
    )["metrics"]
    other = list(_other_intervals(record, again))
    said = f"{sum(map(len, names.values()))} metrics are what the counts give"
    if not other:
        return Finding("numbers", True, f"{said}, intervals too")
    shown = ", ".join(other[:_SHOWN]) + (f" and {len(other) - _SHOWN} more" if other[_SHOWN:] else "")
    return Finding("numbers", True, f"{said}; this version draws other intervals: {shown}")


def _other_intervals(record: Record, again: dict[Direction, dict[str, Metric]]) -> Iterator[str]:
    for side, metrics in record.metrics.items():
        for name, said in metrics.items():
            here = again[side][name]
            if None in (said.low, said.high, here.low, here.high) or _is_near(said, here):
                continue
            yield f"{side} {name} {here.low:.4g} to {here.high:.4g}, not {said.low:.4g} to {said.high:.4g}"


def _is_near(one: Metric, other: Metric) -> bool:
    return all(
        abs((a or 0.0) - (b or 0.0)) <= _SAME * max(abs(b or 0.0), 1.0)
        for a, b in ((one.low, other.low), (one.high, other.high))
    )


def _protocol(measured: Measurement, known_ids: KnownIds) -> Finding:
    record, ids = measured.record, known_ids(measured.record.protocol.fingerprint.ids)
    if measured.remarks:
        return Finding("protocol", False, "; ".join(measured.remarks))
    if not record.protocol.requested.strip():
        return Finding("protocol", False, "it does not say which protocol was asked for: measure again")
    if ids is not None and measured.per_query is not None and not _is_of(measured.per_query, record, ids):
        return Finding(
            "protocol",
            False,
            f"its counts are of other videos than its fingerprint, which is of the {len(ids):,} videos of"
            f" {protocol_of(record)}: measure again",
        )
    if is_own(record):
        return Finding("protocol", True, f"{protocol_of(record)}: no known protocol, and it says so")
    known = protocols()[record.protocol.matched or ""]
    how = "fingerprint" if known.sha256 else "number of captions, for its hashes are not public"
    counted = "" if ids is None or measured.per_query is None else ", and the counts are of its videos"
    return Finding("protocol", True, f"{protocol_of(record)} by its {how}{counted}")


def _is_of(counts: PerQuery, record: Record, ids: Sequence[str]) -> bool:
    """Whether counts are of these videos, but for those that the record names as not scored."""
    wanted = keys_of_videos(sorted({*ids} - unscored(record)))
    return np.array_equal(np.sort(wanted), np.sort(counts.video_keys))


def _name(path: Path) -> Finding:
    if is_named_by_content(path):
        return Finding("name", True, "its file is named by the hash of its content")
    return Finding("name", True, "its file is not named by its content: renamed, labelled, or an older one")
