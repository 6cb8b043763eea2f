"""A user's own annotations: a file with a caption a row, of a benchmark of their own or of none."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xbench.data.reading import build_split, field, read_csv, read_json_lines, read_json_list
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import CaptionFile, Protocol

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Of files that are annotations by themselves. A .json file might be any of several layouts."""
_DAY = 24 * 3600

Window = tuple[float, float]
Entry = tuple[str, str, list[str], Window | None]
"""Where it stands, the video id, its captions, and the seconds that are scored."""


def load(path: Path, protocol: Protocol) -> Split:
    """Read a file that belongs to no benchmark: columns (or keys) `video_id` and `caption`."""
    return _load(path, protocol, CaptionFile(file=path.name))


def load_caption_file(folder: Path, protocol: Protocol) -> Split:
    """Read the caption file that the protocol names, by the columns (or keys) that it names."""
    layout = CaptionFile.model_validate(protocol.read)
    return _load(folder / layout.file, protocol, layout)


def _load(path: Path, protocol: Protocol, layout: CaptionFile) -> Split:
    """Every row is a caption; a video may have several, which need not stand together."""
    pairs: list[tuple[str, str]] = []
    windows: dict[str, Window] = {}
    for where, video, texts, window in _entries(path, layout):
        if not video.strip() or not all(text.strip() for text in texts):
            raise DataError(f"{where}: expected a {layout.id} and a {layout.caption}, one is empty.")
        pairs += [(video, text) for text in texts]
        if window is not None and windows.setdefault(video, window) != window:
            raise DataError(
                f"{where}: {video!r} is scored from {window[0]:g} to {window[1]:g} seconds here, and from "
                f"{windows[video][0]:g} to {windows[video][1]:g} above: give each part an id of its own."
            )
    return build_split(protocol, pairs, path, windows=windows)


def _entries(path: Path, layout: CaptionFile) -> Iterator[Entry]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        names = [layout.id, layout.caption, *filter(None, (layout.start, layout.end))]
        for number, values in read_csv(path, names, "\t" if suffix == ".tsv" else ","):
            where = f"{path}, line {number}"
            row = dict(zip(names, values, strict=True))
            yield where, row[layout.id], [row[layout.caption]], _window(where, row, layout)
        return
    lines = suffix == ".jsonl"
    for number, entry in read_json_lines(path) if lines else enumerate(read_json_list(path), 1):
        where = f"{path}, {'line' if lines else 'entry'} {number}"
        video = field(where, entry, layout.id, str)
        yield where, video, _texts(where, entry, layout), _window(where, entry, layout)


def _texts(where: str, entry: dict[str, Any], layout: CaptionFile) -> list[str]:
    texts = field(where, entry, layout.caption, (str, list))
    if isinstance(texts, str):
        return [texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: expected {layout.caption!r} as a string or a list of strings.")
    return list(texts)


def _window(where: str, entry: dict[str, Any], layout: CaptionFile) -> Window | None:
    if layout.end is None:
        return None
    start = 0.0 if layout.start is None else _seconds(where, entry, layout.start)
    end = _seconds(where, entry, layout.end)
    if not 0 <= start < end < _DAY:
        raise DataError(f"{where}: expected a part of the video, not seconds {start:g} to {end:g}.")
    return start, end


def _seconds(where: str, entry: dict[str, Any], key: str) -> float:
    value = field(where, entry, key, (str, int, float))
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise DataError(f"{where}: expected {key!r} in seconds, found {value!r:.40}.")
    return seconds
