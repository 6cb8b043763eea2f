"""What stands in a folder where a video was looked for and not found: a line that says what to do."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from xbench.data.benchmarks import room
from xbench.data.split import Split
from xbench.data.video_files import EXTENSIONS
from xbench.video.identity import UNFINISHED, unlike_a_file


def why_missing(split: Split, missing: Iterable[str], folder: Path) -> dict[str, str]:
    """Return, for missing ids under whose name something else stands, what it is. Reads names only."""
    names = room(split.benchmark).file_names
    wanted = {_folded(name): video for video in missing for name in names(video)}
    found: dict[str, str] = {}
    for path in _entries(folder) if wanted else ():
        for name in _names(path.name):
            video = wanted.get(_folded(name))
            if video is not None and (text := _told(path, name, names(video))):
                found.setdefault(video, text)
    return found


def _entries(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is not behind a link."""
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in sorted((*folders, *files)))


def _names(name: str) -> Iterator[str]:
    """The names that an entry may have been meant to have."""
    for ending in ("", *UNFINISHED):
        if name.endswith(ending):
            whole = name.removesuffix(ending)
            yield whole
            stem, extension = os.path.splitext(whole)
            if extension.lower() in EXTENSIONS:
                yield stem


def _told(path: Path, name: str, ids: tuple[str, ...]) -> str | None:
    if path.name.endswith(UNFINISHED):
        return f"{path} is an unfinished download: finish it"
    if not path.is_file():
        return f"{path}: {unlike_a_file(path)}"
    if name in ids:
        return None
    same_letters = unicodedata.normalize("NFC", name) in {unicodedata.normalize("NFC", each) for each in ids}
    differs = "in the Unicode form of its letters" if same_letters else "in upper and lower case"
    ending = path.name.removeprefix(name)
    return f"{path} differs from it {differs}: rename it to {ids[0]}{ending}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
