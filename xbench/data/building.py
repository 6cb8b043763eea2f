"""From (video id, caption) pairs to a Split: the last step of every adapter."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from xbench.data.split import Caption, Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol, benchmark


def build_split(
    protocol: Protocol,
    pairs: Sequence[tuple[str, str]],
    source: Path | str,
    durations: Mapping[str, float] | None = None,
) -> Split:
    """Build the split of a protocol from its pairs in protocol order; videos stand as they first appear.

    source: the file that holds the captions, for messages. durations: annotated seconds of each video, for
    benchmarks whose window is the annotated duration.
    """
    require_text(pairs, source)
    index: dict[str, int] = {}
    captions = tuple(Caption(text, index.setdefault(video, len(index))) for video, text in pairs)
    windows = _windows(protocol, list(index), durations or {})
    videos = tuple(Video(video, window) for video, window in zip(index, windows, strict=True))
    return Split(protocol.benchmark, protocol.id, videos, captions, protocol.v2t)


def require_text(pairs: Sequence[tuple[str, str]], source: Path | str) -> None:
    """Raise unless there are pairs and each id and caption is a non-empty string that UTF-8 can hold."""
    if not pairs:
        raise DataError(f"{source}: no caption of the wanted videos is in it; is it the right file?")
    for video, text in pairs:
        if not isinstance(video, str) or not video:
            raise DataError(f"{source}: expected a video id, found {video!r}.")
        if not isinstance(text, str):
            raise DataError(f"{source}: video {video!r}: expected a caption, found {text!r}.")
        if not text.strip():
            raise DataError(f"{source}: video {video!r} has an empty caption.")
        if not (_is_unicode(text) and _is_unicode(video)):
            raise DataError(f"{source}: video {video!r}: its id or caption holds half a Unicode character.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _windows(
    protocol: Protocol, videos: Sequence[str], durations: Mapping[str, float]
) -> list[tuple[float, float] | None]:
    rule = benchmark(protocol.benchmark).window
    if rule != "annotated-duration":
        return [rule] * len(videos)
    return [(0.0, float(math.ceil(durations[video]))) if video in durations else None for video in videos]
