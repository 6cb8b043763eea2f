"""Small copies of a benchmark's videos: which file becomes which, so that every id still finds its own."""

import os
from pathlib import Path

from xbench.data.video_files import VideoFolder
from xbench.errors import DataError, UsageError

_ENDING = ".mp4"


def plan_copies(benchmark: str, videos: Path, to: Path) -> list[tuple[Path, Path]]:
    """Return (video, copy) for every video file below `videos`, copies in the same subfolders below `to`.

    A copy is an mp4. DiDeMo's ids are whole file names, and two of them may differ in the extension only, so
    `x.mov` becomes `x.mov.mp4` there, and `x.mp4` elsewhere.

    Raises UsageError when `to` lies in `videos`, DataError for a folder without videos and for two videos
    that would share a copy.
    """
    if to.resolve().is_relative_to(videos.resolve()):
        raise UsageError(f"--to {to} lies inside --videos {videos}: copies would be taken for originals.")
    found = sorted(path for paths in VideoFolder.index(videos).by_stem.values() for path in paths)
    if not found:
        raise DataError(f"{videos} holds no video files; give the folder with the videos of {benchmark}.")
    taken: dict[Path, Path] = {}
    for path in found:
        copy = to / path.relative_to(videos).with_name(_name(benchmark, path))
        if copy in taken:
            raise DataError(f"{taken[copy]} and {path} would both become {copy}; keep one of them.")
        taken[copy] = path
    return [(path, copy) for copy, path in taken.items()]


def _name(benchmark: str, path: Path) -> str:
    if benchmark == "didemo":
        return path.name if path.name.endswith(_ENDING) else path.name + _ENDING
    return os.path.splitext(path.name)[0] + _ENDING
