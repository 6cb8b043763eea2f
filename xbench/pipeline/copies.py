"""Small copies of a benchmark's videos: which file becomes which, so that every id still finds its own."""

from pathlib import Path

from xbench.data.benchmarks import room
from xbench.data.video_files import VideoFolder
from xbench.errors import DataError, UsageError


def plan_copies(benchmark: str, videos: Path, to: Path) -> list[tuple[Path, Path]]:
    """Return (video, copy) for every video file below `videos`, copies in the same subfolders below `to`.

    A copy is an mp4, whose name the benchmark's room chooses.

    Raises UsageError when `to` lies in `videos`, DataError for a folder without videos and for two videos
    that would share a copy.
    """
    if to.resolve().is_relative_to(videos.resolve()):
        raise UsageError(
            f"--to {to} lies inside --videos {videos}: copies would be taken for originals. Name another."
        )
    found = sorted(path for paths in VideoFolder.index(videos).by_stem.values() for path in paths)
    if not found:
        raise DataError(f"{videos} holds no video files; give the folder with the videos of {benchmark}.")
    naming = room(benchmark).copy_name
    taken: dict[Path, Path] = {}
    for path in found:
        copy = to / path.relative_to(videos).with_name(naming(path.name))
        if copy in taken:
            raise DataError(f"{taken[copy]} and {path} would both become {copy}; keep one of them.")
        taken[copy] = path
    return [(path, copy) for copy, path in taken.items()]
