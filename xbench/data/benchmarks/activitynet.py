"""ActivityNet Captions: a JSON object of videos with their sentences and duration, and a JSON list of ids."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.reading import build_split, field, kind, read_json_list, read_json_object
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

_DAY = 24 * 3600


class Reading(BaseModel):
    """The file of captions, the list that gives the order (else the file's own), what is left out."""

    model_config = ConfigDict(extra="forbid")
    data: str
    list: str | None = None
    captions: Literal["paragraph", "sentences"] = "paragraph"
    skip: tuple[str, ...] = ()


def load(folder: Path, protocol: Protocol) -> Split:
    """Read one ActivityNet protocol from its files in `folder`. Ids lose the prefix `v_`."""
    reading = Reading.model_validate(protocol.read)
    source = folder / reading.data
    content = read_json_object(source, unique_keys=True)
    entries = {bare(video): (f"{source}, {video}", entry) for video, entry in content.items()}
    if len(entries) < len(content):
        raise DataError(f"{source}: some ids stand in it with and without 'v_'; keep one of the two.")
    order = _read_order(folder / reading.list) if reading.list else list(entries)
    # 9 of the 4,926 listed ids have no captions in the published file either.
    videos = [video for video in order if video in entries and video not in reading.skip]
    pairs: list[tuple[str, str]] = []
    for video in videos:
        sentences = _sentences(*entries[video])
        texts = [" ".join(sentences)] if reading.captions == "paragraph" else sentences
        pairs += [(video, text) for text in texts]
    return build_split(protocol, pairs, source, {video: duration_of(*entries[video]) for video in videos})


def bare(video: str) -> str:
    """A YouTube video (11 characters, some begin with `v_` themselves) without the files' prefix `v_`."""
    return video if len(video) == 11 else video.removeprefix("v_")


def _read_order(path: Path) -> list[str]:
    ids = read_json_list(path)
    for position, video in enumerate(ids):
        if not isinstance(video, str):
            raise DataError(f"{path}, entry {position}: expected a video id, found {kind(video)}.")
    order = [bare(video) for video in ids]
    if len(set(order)) < len(order):
        twice = next(video for video in order if order.count(video) > 1)
        raise DataError(f"{path}: video id {twice!r} occurs twice.")
    return order


def _sentences(where: str, entry: Any) -> list[str]:
    sentences: list[str] = field(where, entry, "sentences", list)
    if not sentences or not all(isinstance(sentence, str) for sentence in sentences):
        raise DataError(f"{where}: expected 'sentences' as a list of strings, found {sentences!r:.80}.")
    return sentences


def duration_of(where: str, entry: Any) -> float:
    """The annotated seconds of a video, which must be above 0 and less than a day."""
    duration: float = field(where, entry, "duration", (int, float))
    if not 0 < duration < _DAY:
        found = f"{duration!s:.20}"
        raise DataError(f"{where}: expected 'duration' in seconds, above 0 and under a day, found {found}.")
    return float(duration)
