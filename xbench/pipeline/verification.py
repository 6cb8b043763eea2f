"""Checking a user's copy of a benchmark without a model: annotations, files, headers and frames."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xbench.data.benchmarks import room
from xbench.data.benchmarks.room import Range
from xbench.data.loading import choose_protocol, load_split
from xbench.data.recognition import Recognition, recognise
from xbench.data.split import Split, Video
from xbench.data.video_files import VideoFolder, resolve
from xbench.pipeline.absent import why_missing
from xbench.progress import stage
from xbench.registry.datasets import CUSTOM, protocol
from xbench.video.choice import Sampling, choose
from xbench.video.decode import DamagedVideo, UnreadableVideo, VideoInfo, probe, read_clip

Problem = Literal["missing", "unreadable", "zero-frame", "damaged", "wrong-duration"]
_THREADS = 4
_SMALL = 32
"""Pixels to which decoded frames are reduced at once: they are looked at by nobody."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one video."""

    id: str
    problem: Problem
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found. `found` counts the videos with a file, None if no folder of videos was given.

    unexpected: why the annotations are not those that were asked for.
    """

    split: Split
    recognition: Recognition
    unexpected: tuple[str, ...]
    found: int | None
    findings: tuple[Finding, ...]

    @property
    def is_right(self) -> bool:
        """True if the annotations are the ones asked for and every video is as it should be."""
        return not self.unexpected and not self.findings


def verify(
    benchmark: str, protocol_id: str | None, annotations: Path | str, videos: Path | None, *, deep: bool
) -> Verification:
    """Check annotations, and the videos of a folder if one is given; `deep` decodes each.

    With a protocol, the annotations must be exactly that; without, any published protocol of the benchmark.
    """
    split = load_split(benchmark, annotations, protocol_id)
    recognition = recognise(split)
    unexpected = _unexpected(split, recognition, protocol_id)
    if videos is None:
        return Verification(split, recognition, unexpected, None, ())
    resolved = resolve(split, VideoFolder.index(videos))
    told = why_missing(split, resolved.missing, videos)
    missing = tuple(Finding(video, "missing", told.get(video, "")) for video in resolved.missing)
    wanted = [video for video in split.videos if video.id in resolved.paths]
    with stage(f"{benchmark}: {'decoding' if deep else 'opening'} videos", len(wanted), "videos") as advance:
        findings = _look_at_all(split, wanted, resolved.paths, deep, advance)
    return Verification(split, recognition, unexpected, len(wanted), (*missing, *findings))


def _unexpected(split: Split, recognition: Recognition, asked: str | None) -> tuple[str, ...]:
    if split.protocol == CUSTOM:
        return ()
    if recognition.protocol is None:
        return recognition.reasons
    matched = protocol(recognition.protocol)
    if asked is not None and matched.id != split.protocol:
        return recognition.notes
    return () if matched.validation else recognition.reasons


def _look_at_all(
    split: Split, videos: list[Video], paths: dict[str, Path], deep: bool, advance: Callable[[int], None]
) -> list[Finding]:
    here = room(split.benchmark)
    frames = choose_protocol(split.benchmark, split.protocol).frames if deep else None

    def look(video: Video) -> Finding | None:
        try:
            expected = None if split.protocol == CUSTOM else here.expected_seconds(video)
            return _look(video, paths[video.id], frames, expected)
        finally:
            advance(1)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
        return [finding for finding in pool.map(look, videos) if finding]


def _look(video: Video, path: Path, decode: int | None, expected: Range | None) -> Finding | None:
    """Return the first thing that is wrong with a file; with `decode`, take frames as a run would."""
    try:
        info = probe(path)
        if not _has_frames(path, info):
            return Finding(video.id, "zero-frame", f"{path}: it holds no frame")
        if decode is not None:
            read_clip(path, video.window, Sampling(decode), _SMALL)
    except UnreadableVideo as error:
        problem: Problem = "zero-frame" if "no frame" in error.cause else "unreadable"
        return Finding(video.id, problem, f"{path}: {error.cause}")
    except DamagedVideo as error:
        return Finding(
            video.id, "damaged", f"{path}: {error.got} of {error.wanted} frames, then {error.cause}"
        )
    if expected and info.duration is not None and not expected[0] <= info.duration <= expected[1]:
        span = f"at least {expected[0]:.0f}, at most {expected[1]:.0f}".removesuffix(", at most inf")
        detail = f"{path}: {info.duration:.1f} seconds, expected {span}"
        return Finding(video.id, "wrong-duration", detail)
    return None


def _has_frames(path: Path, info: VideoInfo) -> bool:
    """Some headers do not tell, or tell wrong: then the packets are counted."""
    return bool(info.frames and info.frames > 0) or choose(path, None, Sampling(1)).frames > 0
