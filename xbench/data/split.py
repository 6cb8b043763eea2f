"""A protocol loaded from files: which videos, which captions, which caption belongs to which video."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbench.errors import UsageError
from xbench.terms import V2TRule


@dataclass(frozen=True)
class Video:
    """One video of the gallery. `window` is (start, end) in seconds, None for the whole clip."""

    id: str
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Caption:
    """One query text, raw as in the annotation file; `video` is the index of its video in the split."""

    text: str
    video: int


@dataclass(frozen=True)
class Fingerprint:
    """Counts and sha256 hashes that say what was loaded; equal to the fields of a protocol.

    ids: the sorted unique video ids joined by newlines. pairs: the `id<TAB>caption` lines in the split's
    order, joined by newlines. pairs_sorted: the same lines sorted. pairs_ws_normalised_sorted: sorted, after
    every run of white space in a caption became one space and the ends were stripped.
    """

    videos: int
    captions: int
    ids: str
    pairs: str
    pairs_sorted: str
    pairs_ws_normalised_sorted: str
    windows: str | None = None
    """`window_hash` of the videos; None if all are scored whole."""


def window_hash(videos: Sequence[Video]) -> str:
    """sha256 of the sorted `id<TAB>end` lines in seconds, with the start before the end where it is not zero.

    Whole seconds, as annotated durations rounded up are, stand without a decimal point.
    """
    return _sha256(sorted(f"{video.id}\t{_span(*video.window)}" for video in videos if video.window))


def _span(start: float, end: float) -> str:
    return "\t".join(repr(float(each)).removesuffix(".0") for each in ((start, end) if start else (end,)))


@dataclass(frozen=True)
class Split:
    """Videos and captions in protocol order.

    `protocol` is the id of the rule by which the files were read (`<benchmark>/<name>`); whether the content
    is that of the published protocol is told by the fingerprint, not by this name. `cut_from` is the number
    of videos before the split was cut to its first ones, None if it is whole. `source` names annotations from
    elsewhere than local files, with their revision.
    """

    benchmark: str
    protocol: str
    videos: tuple[Video, ...]
    captions: tuple[Caption, ...]
    v2t: V2TRule = "group-max"
    cut_from: int | None = None
    source: str | None = None

    @cached_property
    def caption_to_video(self) -> NDArray[np.int64]:
        """Index of the right video for each caption, int64 [T]."""
        return np.array([caption.video for caption in self.captions], dtype=np.int64)

    def without(self, ids: Iterable[str]) -> "Split":
        """Return the split without some videos and their captions."""
        gone = set(ids)
        kept = [index for index, video in enumerate(self.videos) if video.id not in gone]
        position = {old: new for new, old in enumerate(kept)}
        return replace(
            self,
            videos=tuple(self.videos[index] for index in kept),
            captions=tuple(
                replace(caption, video=position[caption.video])
                for caption in self.captions
                if caption.video in position
            ),
        )

    def limit(self, videos: int) -> "Split":
        """Return the first `videos` videos with their captions, marked as cut if any video falls away."""
        if videos < 1:
            raise UsageError(f"A limit of {videos} videos leaves nothing to score; give 1 or more.")
        if videos >= len(self.videos):
            return self
        captions = tuple(caption for caption in self.captions if caption.video < videos)
        whole = self.cut_from or len(self.videos)
        return replace(self, videos=self.videos[:videos], captions=captions, cut_from=whole)

    def fingerprint(self) -> Fingerprint:
        """Return the counts and hashes of what was loaded (UTF-8, no final newline)."""
        ids = [self.videos[caption.video].id for caption in self.captions]
        lines = [f"{vid}\t{caption.text}" for vid, caption in zip(ids, self.captions, strict=True)]
        normalised = [
            f"{vid}\t{' '.join(caption.text.split())}"
            for vid, caption in zip(ids, self.captions, strict=True)
        ]
        return Fingerprint(
            videos=len(self.videos),
            captions=len(self.captions),
            ids=_sha256(sorted({video.id for video in self.videos})),
            pairs=_sha256(lines),
            pairs_sorted=_sha256(sorted(lines)),
            pairs_ws_normalised_sorted=_sha256(sorted(normalised)),
            windows=window_hash(self.videos) if any(video.window for video in self.videos) else None,
        )


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
