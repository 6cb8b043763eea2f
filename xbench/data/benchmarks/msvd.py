"""MSVD: a list of ids, and the captions of all videos as token lists (pickle) or strings (JSON)."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.reading import build_split, kind, read_ids, read_json_object, read_pickled_dict
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

PICKLE = "raw-captions.pkl"
JSON = "captions_msvd.json"


class Reading(BaseModel):
    """The file with the ids, and which captions of each video."""

    model_config = ConfigDict(extra="forbid")
    list: str
    captions: Literal["all", "first"]


def load(folder: Path, protocol: Protocol) -> Split:
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
