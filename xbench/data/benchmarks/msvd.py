"""MSVD: a list of ids, and the captions of all videos as token lists (pickle) or strings (JSON)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.benchmarks.room import Range, Room
from xbench.data.benchmarks.stand_in import (
    Files,
    Manner,
    StandIn,
    Style,
    Told,
    Voice,
    as_pickle,
    lines,
    stem,
)
from xbench.data.reading import build_split, kind, read_ids, read_json_object, read_pickled_dict
from xbench.data.split import Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

PICKLE = "raw-captions.pkl"
JSON = "captions_msvd.json"


class Reading(BaseModel):
    """The file with the ids, and which captions of each video."""

    model_config = ConfigDict(extra="forbid")
    list: str
    captions: Literal["all", "first"]


def _load(folder: Path, protocol: Protocol) -> Split:
    """Read one MSVD protocol from its files in `folder`."""
    reading = Reading.model_validate(protocol.read)
    ids = read_ids(folder / reading.list)
    source = folder / (JSON if (folder / JSON).exists() and not (folder / PICKLE).exists() else PICKLE)
    captions = (
        read_json_object(source, unique_keys=True) if source.name == JSON else read_pickled_dict(source)
    )
    unknown = [video for video in ids if video not in captions]
    if unknown:
        raise DataError(
            f"{source} has no captions of {len(unknown)} videos of {reading.list}: {', '.join(unknown[:10])}."
            " Get both files from one source."
        )
    take = 1 if reading.captions == "first" else None
    pairs = [(video, text) for video in ids for text in _texts(source, video, captions[video])[:take]]
    return build_split(protocol, pairs, source)


def _texts(source: Path, video: str, captions: Any) -> list[str]:
    if not isinstance(captions, list | tuple) or not captions:
        raise DataError(f"{source}: video {video!r}: expected a list of captions, found {kind(captions)}.")
    return [_text(source, video, caption) for caption in captions]


def _text(source: Path, video: str, caption: Any) -> str:
    if isinstance(caption, str):
        return caption
    if isinstance(caption, list | tuple) and all(isinstance(token, str) for token in caption):
        return " ".join(caption)
    raise DataError(
        f"{source}: video {video!r}: expected a caption or a list of its words, found {caption!r}."
    )


class _StandIn(StandIn):
    manner = Manner(Style(6, 9), Voice(continuous=True), (3, 7))

    def video_name(self, number: int, clip: Told) -> str:
        return f"mini{number:07}_0_{clip.scene.seconds}.mp4"

    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        ids = [stem(name) for name in names]
        captions = {
            video: [text.split() for text in clip.sentences] for video, clip in zip(ids, clips, strict=True)
        }
        return {"test_list.txt": lines(ids), PICKLE: as_pickle(captions)}


class _MSVD(Room):
    stand_in = _StandIn()

    def load(self, folder: Path, protocol: Protocol) -> Split:
        return _load(folder, protocol)

    def seconds(self, video: Video) -> Range | None:
        """The id ends in the first and last second of the clip: `-4wsuPCjDBc_5_15`."""
        found = re.search(r"_(\d+)_(\d+)$", video.id)
        return (float(found[2]) - float(found[1]),) * 2 if found else None


ROOM = _MSVD()
