"""ActivityNet Captions: a JSON object of videos with their sentences and duration, and a JSON list of ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.benchmarks.room import Range, Room
from xbench.data.benchmarks.stand_in import Files, Manner, StandIn, Style, Told, Voice, as_json, stem
from xbench.data.reading import (
    MEND,
    build_split,
    duration_of,
    field,
    kind,
    read_json_list,
    read_json_object,
)
from xbench.data.split import Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol


class Reading(BaseModel):
    """The file of captions, the list that gives the order (else the file's own), what is left out."""

    model_config = ConfigDict(extra="forbid")
    data: str
    list: str | None = None
    captions: Literal["paragraph", "sentences"] = "paragraph"
    skip: tuple[str, ...] = ()


def _load(folder: Path, protocol: Protocol) -> Split:
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
        raise DataError(f"{path}: video id {twice!r} occurs twice. {MEND}")
    return order


def _sentences(where: str, entry: Any) -> list[str]:
    sentences: list[str] = field(where, entry, "sentences", list)
    if not sentences or not all(isinstance(sentence, str) for sentence in sentences):
        raise DataError(f"{where}: expected 'sentences' as a list of strings, found {sentences!r:.80}.")
    return sentences


class _StandIn(StandIn):
    manner = Manner(Style(12, 20, long=True), Voice(brief=True, sentences=True), (3, 3))

    def video_name(self, number: int, clip: Told) -> str:
        return f"v_mini{number:07}.mp4"

    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        """Sentences begin with a space, as most of the official ones do."""
        entries = {
            stem(name): {
                "duration": float(clip.scene.seconds),
                "timestamps": [[round(act.start, 2), round(act.end, 2)] for act in clip.scene.acts],
                "sentences": [f" {text}" if i else text for i, text in enumerate(clip.sentences)],
            }
            for name, clip in zip(names, clips, strict=True)
        }
        return {"val_ids.json": as_json(sorted(entries)), "val_1.json": as_json(entries)}


class _ActivityNet(Room):
    stand_in = _StandIn()

    def load(self, folder: Path, protocol: Protocol) -> Split:
        return _load(folder, protocol)

    def file_names(self, video: str) -> tuple[str, ...]:
        """Files may bear the prefix that ids have lost."""
        return video, f"v_{video}"

    def hub_id(self, video: str) -> str:
        return bare(video)

    def seconds(self, video: Video) -> Range | None:
        """The window ends at the annotated duration, rounded up."""
        return None if video.window is None else (video.window[1] - 1, video.window[1])


ROOM = _ActivityNet()
