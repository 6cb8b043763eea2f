"""Which row belongs to which caption or video, told by ids.

A video's id is the protocol's. A caption can be named in three ways: `<video id>#<n>`, the n-th caption of
that video from 0 in protocol order; its video's id, where every video has one caption; its text, where no
two captions have the same.
"""

import os.path
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.data.video_files import EXTENSIONS
from xbench.errors import DataError

Ints = NDArray[np.int64]

_ARRAYS = frozenset({".npy", ".npz", ".pt", ".pth"})
"""Feature extractors list their own files as often as the videos'."""


def video_ids(split: Split) -> list[str]:
    """Return the ids of the videos, in protocol order."""
    return [video.id for video in split.videos]


def caption_ids(split: Split) -> list[list[str]]:
    """Return the ways to name the captions, each in protocol order."""
    owners = [split.videos[caption.video].id for caption in split.captions]
    return _ways([caption.text for caption in split.captions], owners)


def named_captions(texts: Sequence[str], owners: Sequence[str]) -> dict[str, int]:
    """Return which caption each name stands for that stands for one; owners: the id of each one's video."""
    named: dict[str, int] = {}
    for way in _ways(texts, owners):
        counts = Counter(way)
        named |= {name: row for row, name in enumerate(way) if counts[name] == 1 and name not in named}
    return named


def _ways(texts: Sequence[str], owners: Sequence[str]) -> list[list[str]]:
    seen: Counter[str] = Counter()
    numbered = []
    for owner in owners:
        numbered.append(f"{owner}#{seen[owner]}")
        seen[owner] += 1
    ways = [numbered, list(texts)]
    return [list(owners), *ways] if len(seen) == len(owners) else ways


def without_extensions(names: Sequence[str]) -> list[str]:
    """Return ids that are names of video files without folder and extension; all others as they are."""
    return [_stem(name) for name in names]


def _stem(name: str) -> str:
    base = name.replace("\\", "/").rpartition("/")[2]
    stem, extension = os.path.splitext(base)
    return stem if extension.lower() in EXTENSIONS | _ARRAYS else name


def rows_of(ids: Sequence[str], wanted: Sequence[str]) -> Ints | None:
    """Return the row of each wanted id, int64 [N]; None unless the two hold the same ids.

    File names stand for ids, where the ids themselves do not fit. Raises DataError when the same ids are
    there, but some more than once: nothing says which of its rows is whose.
    """
    counts = Counter(ids)
    if counts != Counter(wanted):
        stems, wanted_stems = without_extensions(ids), without_extensions(wanted)
        if stems == list(ids) and wanted_stems == list(wanted):
            return None
        ids, wanted, counts = stems, wanted_stems, Counter(stems)
        if counts != Counter(wanted):
            return None
    twice = next((name for name in ids if counts[name] > 1), None)
    if twice is not None:
        raise DataError(
            f"{counts[twice]} rows have the id {twice!r}, as that many captions have this text, and nothing "
            "says which row is whose: give each caption the id VIDEO#N, N counting from 0 in each video."
        )
    rows = {name: row for row, name in enumerate(ids)}
    return np.array([rows[name] for name in wanted], dtype=np.int64)


def disagreement(ids: Sequence[str], wanted: Sequence[str]) -> str:
    """Say in what a list of ids differs from the wanted ones, for a message."""
    lacks, extra = set(wanted) - set(ids), set(ids) - set(wanted)
    both = (("lacks", lacks), ("adds", extra))
    said = [f"{what} {len(names)}, e.g. {min(names)!r}" for what, names in both if names]
    return " and ".join(said) or "holds some of them more often, or less often"
