"""The data of a run: the split as asked for, the files it needs, and what of it can be scored."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from xbench.data.split import Split, Video
from xbench.data.video_files import Resolved
from xbench.errors import DataError
from xbench.pipeline.absent import why_missing
from xbench.pipeline.features import VideoJob
from xbench.terms import PixelRule
from xbench.video.decode import UnreadableVideo, probe
from xbench.video.identity import Identities

_SHOWN = 10
_THREADS = 4
_COPIES = 0.01
"""The share of the gallery that copies of other videos may be, before numbers are no longer comparable."""


@dataclass(frozen=True)
class Fault:
    """A video that cannot be scored as it should be: how many frames were wanted and got, and why."""

    id: str
    cause: str
    wanted: int | None = None
    got: int = 0

    def __str__(self) -> str:
        """Return one line for a message."""
        frames = f" ({self.got} of {self.wanted} frames)" if self.wanted else ""
        return f"{self.id}: {self.cause}{frames}"


@dataclass(frozen=True)
class Gallery:
    """The videos of a split as files. `jobs` are those found; the rest is missing or cannot be opened.

    notes: sentences for the record. reasons: why numbers on these files are not comparable.
    """

    jobs: tuple[VideoJob, ...]
    missing: tuple[str, ...]
    unreadable: tuple[Fault, ...]
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def contents(self) -> str:
        """The digest of the files that were found and open; see `contents_digest`."""
        return contents_digest((job.video.id, job.content) for job in self.jobs)


def contents_digest(contents: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 of the sorted `id<TAB>content key` lines of videos, joined by newlines, in hex."""
    lines = sorted(f"{video}\t{content}" for video, content in contents)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def contents_of(found: Resolved, memory: Path | None) -> str | None:
    """Return the digest of the files of a split, None when one cannot be read.

    memory: where contents are remembered from run to run, so that a file is read again only once it changed.
    """
    identities = Identities(memory)
    try:
        with ThreadPool(_THREADS) as pool:
            keys = pool.map(lambda path: identities.of(path)[0], found.paths.values())
    except OSError:
        return None
    identities.save()
    return contents_digest(zip(found.paths, keys, strict=True))


def open_gallery(
    split: Split,
    found: Resolved,
    is_known: Callable[[VideoJob], bool],
    on_done: Callable[[int], None],
    *,
    pixels: PixelRule,
    memory: Path | None,
) -> Gallery:
    """Identify the file of every video by content, and look into each that is not known yet.

    found: the file of each video that has one. is_known tells of a job that its features are cached, so that
    its file was once decoded whole. pixels: how the frames are to be converted. memory: where contents are
    remembered from run to run, None for nowhere.
    """
    identities = Identities(memory)
    videos = [video for video in split.videos if video.id in found.paths]

    def look(video: Video) -> VideoJob | Fault:
        try:
            return _look(video, found.paths[video.id], identities, is_known, pixels)
        finally:
            on_done(1)

    with ThreadPool(_THREADS) as pool:  # its threads are daemons, so Ctrl-C ends at once
        looked = list(pool.imap(look, videos, chunksize=8))
    identities.save()
    jobs = tuple(job for job in looked if isinstance(job, VideoJob))
    unreadable = tuple(fault for fault in looked if isinstance(fault, Fault))
    return Gallery(jobs, found.missing, unreadable, *_told_twice(jobs, found))


def _look(
    video: Video,
    path: Path,
    identities: Identities,
    is_known: Callable[[VideoJob], bool],
    pixels: PixelRule,
) -> VideoJob | Fault:
    try:
        job = VideoJob(video, path, *identities.of(path), pixels)
        if not is_known(job):
            probe(path)
    except UnreadableVideo as error:
        return Fault(video.id, error.cause)
    except OSError as error:
        return Fault(video.id, f"{path}: {error.strerror or error}")
    return job


def _told_twice(jobs: Sequence[VideoJob], found: Resolved) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return notes and reasons about videos that are another one: the same file, or the same bytes.

    Two such videos tie in every query: two right answers, of which one counts as wrong. A few re-uploads may
    be part of an official set, which is why separate files of the same bytes are a note first.
    """
    windows = {job.video.id: job.video.window for job in jobs}
    one_file = [pair for pair in found.shared if all(video in windows for video in pair)]
    same = [pair for pair in one_file if windows[pair[0]] == windows[pair[1]]]
    parts = [pair for pair in one_file if pair not in same]
    late = {video for video, _ in one_file}
    first: dict[tuple[str, object], str] = {}
    copies = []
    for job in jobs:
        owner = first.setdefault((job.content, job.video.window), job.video.id)
        if owner != job.video.id and job.video.id not in late:
            copies.append((job.video.id, owner))
    notes, reasons = [], []
    if parts:
        notes.append(_pairs(parts, jobs, "are parts of a file that is another's too"))
    if same:
        reasons.append(_pairs(same, jobs, "have the file of another video"))
    if copies:
        many = len(copies) > _COPIES * len(jobs)
        (reasons if many else notes).append(_pairs(copies, jobs, "have the very bytes of another's file"))
    return tuple(notes), tuple(reasons)


def _pairs(pairs: Sequence[tuple[str, str]], jobs: Sequence[VideoJob], what: str) -> str:
    examples = ", ".join(f"{late} as {early}" for late, early in pairs[:3])
    return f"{len(pairs)} of {len(jobs)} videos {what}, e.g. {examples}"


def refuse_missing(missing: Sequence[str], split: Split, folder: Path, *, allowed: bool) -> None:
    """Raise DataError when videos are missing and that was not allowed, or when all of them are."""
    total = len(split.videos)
    if missing and (not allowed or len(missing) == total):
        told = list(why_missing(split, missing, folder).items())
        hints = "".join(f"\n  {video}: {text}" for video, text in told[:_SHOWN])
        raise DataError(
            f"{len(missing)} of the {total} videos of {split.benchmark} have no file in {folder}: "
            f"{_first(missing)}. Put them there, point --videos elsewhere, or score the rest with "
            f"--allow-missing (NOT COMPARABLE).{hints}"
            if len(missing) < total
            else f"None of the {total} videos of {split.benchmark} has a file in {folder}, e.g. "
            f"{_first(missing)}. Give --videos the folder that has them.{hints}"
        )


def refuse_faulty(faults: Sequence[Fault], split: Split, *, allowed: bool) -> None:
    """Raise DataError when files are unreadable or damaged and that was not allowed."""
    if faults and not allowed:
        listed = "\n  ".join(str(fault) for fault in faults[:_SHOWN])
        more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataError(
            f"{len(faults)} of the {len(split.videos)} videos of {split.benchmark} are unreadable or damaged:"
            f"\n  {listed}{more}\nReplace these files, or score with what there is with --allow-damaged (NOT "
            f"COMPARABLE). Everything that was encoded is kept."
        )


def _first(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
