"""DiDeMo: a JSON list of sentences, each with its video's file name and the segments annotators chose."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.benchmarks.room import COPY_ENDING, Range, Room
from xbench.data.benchmarks.stand_in import Files, Manner, StandIn, Style, Told, Voice, as_json, lines
from xbench.data.reading import build_split, field, read_ids, read_json_list
from xbench.data.split import Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol


class Reading(BaseModel):
    """Which file names, what an id is, the order of a video's sentences, and what is left out."""

    model_config = ConfigDict(extra="forbid")
    data: str
    list: str | None = None
    ids: Literal["file-name", "stem"] = "file-name"
    order: Literal["annotation", "temporal"] = "annotation"
    captions: Literal["paragraph", "sentences"] = "paragraph"
    skip: tuple[str, ...] = ()
    skip_ending: str | None = None


@dataclass(frozen=True)
class _Sentence:
    video: str
    text: str
    segment: tuple[int, int]


def _load(folder: Path, protocol: Protocol) -> Split:
    """Read one DiDeMo protocol from its files in `folder`; videos stand as they first appear in the JSON."""
    reading = Reading.model_validate(protocol.read)
    source = folder / reading.data
    sentences = [
        _parse(f"{source}, entry {position}", entry, reading)
        for position, entry in enumerate(read_json_list(source))
    ]
    listed = set(read_ids(folder / reading.list)) if reading.list else {each.video for each in sentences}
    wanted = [each for each in sentences if each.video in listed and not _is_left_out(each.video, reading)]
    if reading.captions == "sentences":
        return build_split(protocol, [(each.video, each.text) for each in wanted], source)
    return build_split(protocol, _paragraphs(wanted), source)


def stem(name: str) -> str:
    """A file name without its extension; some published names end in a dot with nothing after it."""
    return name.rpartition(".")[0] or name


def _parse(where: str, entry: Any, reading: Reading) -> _Sentence:
    name: str = field(where, entry, "video", str)
    return _Sentence(
        video=stem(name) if reading.ids == "stem" else name,
        text=field(where, entry, "description", str),
        segment=_segment(where, entry) if reading.order == "temporal" else (0, 0),
    )


def _segment(where: str, entry: Any) -> tuple[int, int]:
    """The segment (first, last) that most annotators chose; of equally many, the one named first."""
    times = field(where, entry, "times", list)
    if not times or not all(_is_segment(time) for time in times):
        raise DataError(f"{where}: expected 'times' as a list of [first, last] segments, found {times!r}.")
    (first, last), _ = Counter(map(tuple, times)).most_common(1)[0]
    return first, last


def _is_segment(time: Any) -> bool:
    return isinstance(time, list) and len(time) == 2 and all(type(part) is int for part in time)


def _is_left_out(video: str, reading: Reading) -> bool:
    ending = reading.skip_ending
    return video in reading.skip or (ending is not None and video.endswith(ending))


def _paragraphs(sentences: list[_Sentence]) -> list[tuple[str, str]]:
    """Join each video's sentences by one space, by segment; equal segments keep the order of the file."""
    grouped: dict[str, list[_Sentence]] = {}
    for sentence in sentences:
        grouped.setdefault(sentence.video, []).append(sentence)
    return [
        (video, " ".join(each.text for each in sorted(group, key=lambda each: each.segment)))
        for video, group in grouped.items()
    ]


class _StandIn(StandIn):
    manner = Manner(Style(15, 15, long=True), Voice(brief=True), (3, 3))

    def video_name(self, number: int, clip: Told) -> str:
        return f"10000000@N00_{number:010}_mini{('.mp4', '.mov', '.m4v')[number % 3]}"

    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        """Segments are of five seconds; four annotators agree."""
        told = [
            {"num_segments": len(clip.scene.acts), "description": text, "dl_link": "", "times": [[i, i]] * 4}
            | {"video": name}
            for name, clip in zip(names, clips, strict=True)
            for i, text in enumerate(clip.sentences)
        ]
        entries = [entry | {"annotation_id": number} for number, entry in enumerate(told)]
        return {"test_list.txt": lines(sorted(names)), "test_data.json": as_json(entries)}


class _DiDeMo(Room):
    stand_in = _StandIn()

    def load(self, folder: Path, protocol: Protocol) -> Split:
        return _load(folder, protocol)

    def bare_name(self, video: str) -> str | None:
        """An id is a file name, and the file may have been encoded again under another extension."""
        return video.rpartition(".")[0]

    def copy_name(self, name: str) -> str:
        """Two ids may differ in the extension only, so a copy of `x.mov` is `x.mov.mp4`."""
        return name if name.endswith(COPY_ENDING) else name + COPY_ENDING

    def seconds(self, video: Video) -> Range | None:
        """Annotated in five or six segments of five seconds, the last maybe short; often longer."""
        return 20.0, float("inf")


ROOM = _DiDeMo()
