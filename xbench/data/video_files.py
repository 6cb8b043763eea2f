"""A folder of video files, indexed once, and the rules by which a video id finds its file."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xbench.data.benchmarks import room
from xbench.data.split import Split
from xbench.errors import DataError, explain
from xbench.registry.datasets import CUSTOM
from xbench.registry.datasets import benchmark as find_benchmark

EXTENSIONS = frozenset(
    {
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    }
)
"""Lower case; a file name may have them in any case."""


@dataclass(frozen=True)
class Resolved:
    """Where the videos of a split stand: a file for each id that has one, and the ids without, in order.

    shared: ids whose file is that of an id before them, which stands beside them: (id, earlier id).
    """

    paths: dict[str, Path]
    missing: tuple[str, ...]
    shared: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class VideoFolder:
    """All files below a folder, by name, and all videos by name without their extension."""

    root: Path
    by_name: dict[str, tuple[Path, ...]]
    by_stem: dict[str, tuple[Path, ...]]

    @classmethod
    def index(cls, root: Path) -> "VideoFolder":
        """Index a folder recursively, following links; a folder that links reach again is read once."""
        if not root.is_dir():
            raise DataError(f"{root} is not a folder; give the folder that holds the video files.")
        names: dict[str, list[Path]] = {}
        stems: dict[str, list[Path]] = {}
        for path in _files(root):
            names.setdefault(path.name, []).append(path)
            if _is_video_name(path.name):
                stems.setdefault(os.path.splitext(path.name)[0], []).append(path)
        return cls(root, _frozen(names), _frozen(stems))

    def find(self, video: str, benchmark: str) -> Path | None:
        """Return the file of a video id, None if there is none.

        The first of these levels that has a file decides: a file of exactly this name; the id with any video
        extension; where ids are file names, the same name with another extension; the same letters written
        otherwise, as macOS takes an accent apart (NFD). Under which other names a benchmark's files may
        stand, its room says. Two files at the level that decides are a DataError that names both; so is a
        file without an extension that would hide one with a video's.
        """
        exact, *others = self._levels(video, benchmark)
        if exact and not any(_is_video_name(path.name) for path in exact):
            exact = [*exact, *others[0]]
        for level in (exact, *others):
            candidates = _distinct(level)
            if len(candidates) > 1:
                raise DataError(
                    f"video {video!r} has {len(candidates)} files: {_join(candidates)}; keep one of them."
                )
            if candidates:
                return candidates[0]
        return None

    def _levels(self, video: str, benchmark: str) -> Iterator[list[Path]]:
        here = room(benchmark)
        names = here.file_names(video)
        yield [path for name in names for path in self.by_name.get(name, ())]
        yield [path for name in names for path in self.by_stem.get(name, ())]
        bare = here.bare_name(video)
        if bare is not None:
            yield [*self.by_name.get(bare, ()), *self.by_stem.get(bare, ())]
        yield [path for name in names for path in self._composed.get(_composed(name), ())]

    @cached_property
    def _composed(self) -> dict[str, tuple[Path, ...]]:
        """Names beyond ASCII, with and without extension, in their composed form."""
        found: dict[str, tuple[Path, ...]] = {}
        for index in (self.by_name, self.by_stem):
            for name, paths in index.items():
                if not name.isascii():
                    found[_composed(name)] = found.get(_composed(name), ()) + paths
        return found


def resolve(split: Split, folder: VideoFolder) -> Resolved:
    """Find the file of every video of a split.

    Ids with more than one candidate are a DataError that names the first ten with their files. So are two ids
    with the same seconds of one file in a user's own annotations; a published protocol may name a video
    twice, by two extensions.
    """
    paths: dict[str, Path] = {}
    missing: list[str] = []
    ambiguous: list[str] = []
    for video in split.videos:
        try:
            path = folder.find(video.id, split.benchmark)
        except DataError as error:
            ambiguous.append(str(error))
            continue
        if path is None:
            missing.append(video.id)
        else:
            paths[video.id] = path
    if ambiguous:
        more = f" (first 10 of {len(ambiguous)})" if len(ambiguous) > 10 else ""
        raise DataError(f"In {folder.root}, keep one file for each video{more}: " + "\n".join(ambiguous[:10]))
    shared = _shared(paths)
    if split.protocol == CUSTOM or find_benchmark(split.benchmark).home:
        _refuse_same(split, shared, paths)
    return Resolved(paths, tuple(missing), shared)


def _refuse_same(split: Split, shared: Sequence[tuple[str, str]], paths: Mapping[str, Path]) -> None:
    """Parts of one file may be videos of their own; the same part twice would be two right answers."""
    windows = {video.id: video.window for video in split.videos}
    same = [(late, early) for late, early in shared if windows[late] == windows[early]]
    if same:
        late, early = same[0]
        more = f" (the first of {len(same)} such pairs)" if len(same) > 1 else ""
        raise DataError(
            f"videos {early!r} and {late!r} have one file, {paths[late]}{more}: give each video a file "
            "of its own, or all captions of a video one id."
        )


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _shared(paths: dict[str, Path]) -> tuple[tuple[str, str], ...]:
    """The ids whose file, wherever links lead, is that of an id before them: (id, earlier id)."""
    first: dict[Path, str] = {}
    owners = [(video, first.setdefault(path.resolve(), video)) for video, path in paths.items()]
    return tuple((video, owner) for video, owner in owners if owner != video)


def _files(root: Path) -> Iterator[Path]:
    """Every file below root, in a fixed order; each folder once, by its device and inode number."""
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder} cannot be read: {explain(error)}") from None
        yield from (Path(entry.path) for entry in entries if _is_file(entry))
        waiting += [Path(entry.path) for entry in reversed(entries) if _is_folder(entry)]


# A link to nowhere or to itself is neither a file nor a folder; DirEntry raises for the latter.
def _is_file(entry: os.DirEntry[str]) -> bool:
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Paths that lead to different files; of several links to one file the first stays."""
    unique = list(dict.fromkeys(paths))
    if len(unique) < 2:
        return unique
    files: dict[Path, Path] = {}
    for path in unique:
        files.setdefault(path.resolve(), path)
    return list(files.values())


def _is_video_name(name: str) -> bool:
    """Splitext keeps a name such as ".mp4" whole, and knows a final dot as the extension "."."""
    extension = os.path.splitext(name)[1]
    return extension == "." or extension.lower() in EXTENSIONS


def _frozen(index: dict[str, list[Path]]) -> dict[str, tuple[Path, ...]]:
    return {name: tuple(paths) for name, paths in index.items()}


def _join(paths: list[Path]) -> str:
    return " and ".join(str(path) for path in paths[:4])
