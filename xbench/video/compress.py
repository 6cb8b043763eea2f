"""Small copies of videos: few frames a second, a short smaller side, H.264, no sound.

The published code trains and tests on such copies (3 fps, 224 pixels, made with FFmpeg's command line by
`preprocess/compress_video.py` of CLIP4Clip). Scores on them differ from the originals'.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

import av

from xbench.errors import DataError
from xbench.storage import appearing, tidy
from xbench.video.identity import content_key
from xbench.video.packets import UnreadableVideo, opened
from xbench.video.reencode import Recipe, reencode

_VERSION = 1
"""Goes up when the same recipe gives other copies."""


@dataclass(frozen=True)
class Copied:
    """What became of one video: a copy was made, a finished one kept, or `cause` says why there is none."""

    source: Path
    target: Path
    state: Literal["made", "kept", "failed"]
    cause: str | None = None


def compress(
    jobs: Sequence[tuple[Path, Path]], recipe: Recipe, workers: int, on_done: Callable[[int], None]
) -> list[Copied]:
    """Make a copy, an mp4, of each (source, target), several at a time; return the outcomes in order.

    A target that is a finished copy of the same source by the same recipe is kept. A target appears whole or
    not at all; nothing is left of a copy that failed. A damaged source fails: its copy would look sound.
    """
    for folder in {target.parent for _, target in jobs}:
        tidy(folder)

    stopped = Event()

    def work(job: tuple[Path, Path]) -> Copied:
        try:
            return _copy(*job, recipe, lambda: not stopped.is_set())
        except (DataError, OSError, av.error.FFmpegError) as error:
            return Copied(*job, "failed", getattr(error, "cause", None) or str(error))
        finally:
            on_done(1)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="compress")
    try:
        return list(pool.map(work, jobs))
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def _copy(source: Path, target: Path, recipe: Recipe, goes_on: Callable[[], bool]) -> Copied:
    with opened(source):
        label = _describe(source, recipe)
    if _label(target) == label:
        return Copied(source, target, "kept")
    target.parent.mkdir(parents=True, exist_ok=True)
    with appearing(target) as partial:
        reencode(source, partial, recipe, label, goes_on)
    return Copied(source, target, "made")


def _label(target: Path) -> str | None:
    """Return what a finished copy says of itself, None when there is none."""
    try:
        with opened(target) as (container, _):
            return container.metadata.get("comment")
    except UnreadableVideo:
        return None


def _describe(source: Path, recipe: Recipe) -> str:
    """Return what is written into a copy, so that it is known again: the recipe and the source's content."""
    squeezed = " squeezed" if recipe.squeeze_portrait else ""
    return f"xbench copy {_VERSION}: {recipe.rate} fps {recipe.side} px{squeezed} of {content_key(source)}"
