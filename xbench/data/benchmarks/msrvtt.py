"""MSR-VTT: the JSFusion CSV, the official JSON (whole, or in its two published halves), and lists of ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from xbench.data.benchmarks.room import Range, Room
from xbench.data.benchmarks.stand_in import (
    Files,
    Manner,
    StandIn,
    Style,
    Told,
    Voice,
    as_json,
    lines,
    stem,
)
from xbench.data.reading import (
    MEND,
    build_split,
    field,
    read_csv,
    read_ids,
    read_json_object,
    read_pickled_dict,
    require_unique,
)
from xbench.data.split import Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

CSV = "MSRVTT_JSFUSION_test.csv"
INDEX = "jsfusion_val_caption_idx.pkl"
MIECH_LIST = "test_list_miech.txt"
WHOLE = "MSRVTT_data.json"
HALVES = ("test_videodatainfo.json", "train_val_videodatainfo.json")

Pairs = list[tuple[str, str]]


class Reading(BaseModel):
    """Which videos, in which order, and which of their captions."""

    model_config = ConfigDict(extra="forbid")
    videos: Literal["csv", "index", "test-split", "miech-list"]
    captions: Literal["csv", "index", "all", "first"]


@dataclass(frozen=True)
class _Official:
    """The official JSON: the split of each video, and (sen_id, caption) of each in file order."""

    source: Path
    splits: dict[str, str]
    captions: dict[str, list[tuple[int, str]]]


def _load(folder: Path, protocol: Protocol) -> Split:
    """Read one MSR-VTT protocol from its files in `folder`."""
    reading = Reading.model_validate(protocol.read)
    if reading.captions == "csv":
        return build_split(protocol, _read_csv(folder / CSV), folder / CSV)
    official = _read_official(folder, halves=HALVES if reading.videos == "miech-list" else HALVES[:1])
    videos = _VIDEOS[reading.videos](folder, official)
    if reading.captions == "index":
        return build_split(protocol, _indexed(folder / INDEX, official), official.source)
    take = 1 if reading.captions == "first" else None
    pairs: Pairs = []
    for video in videos:
        captions = _captions_of(video, official, folder)
        ordered = sorted(captions, key=lambda numbered: numbered[0]) if take else captions
        pairs += [(video, text) for _, text in ordered[:take]]
    return build_split(protocol, pairs, official.source)


def _read_csv(path: Path) -> Pairs:
    rows = read_csv(path, ["video_id", "sentence"])
    require_unique(path, [(number, video) for number, (video, _) in rows])
    return [(video, text) for _, (video, text) in rows]


_VIDEOS: dict[str, Callable[[Path, _Official], list[str]]] = {
    "csv": lambda folder, _: [video for video, _ in _read_csv(folder / CSV)],
    "index": lambda folder, _: list(read_pickled_dict(folder / INDEX)),
    "miech-list": lambda folder, _: read_ids(folder / MIECH_LIST),
    "test-split": lambda _, official: [
        video for video in official.captions if official.splits[video] == "test"
    ],
}


def _indexed(path: Path, official: _Official) -> Pairs:
    pairs: Pairs = []
    for video, index in read_pickled_dict(path).items():
        captions = _captions_of(video, official, path)
        if type(index) is not int or not 0 <= index < len(captions):
            raise DataError(
                f"{path}: video {video!r}: {index!r} is no index of its {len(captions)} captions. {MEND}"
            )
        pairs.append((video, captions[index][1]))
    return pairs


def _captions_of(video: str, official: _Official, named_in: Path) -> list[tuple[int, str]]:
    if video not in official.captions:
        raise DataError(
            f"{official.source} has no caption of {video!r}, which the files in {named_in} ask for; "
            f"put the complete {WHOLE} (or {' and '.join(HALVES)}) there."
        )
    return official.captions[video]


def _read_official(folder: Path, halves: tuple[str, ...]) -> _Official:
    whole = folder / WHOLE
    if whole.exists() or not any((folder / half).exists() for half in halves):
        paths = [whole]
    else:
        paths = [folder / half for half in halves]
    official = _Official(paths[0], {}, {})
    for path in paths:
        _add_file(path, official)
    return official


def _add_file(path: Path, official: _Official) -> None:
    content = read_json_object(path)
    for position, video in enumerate(field(str(path), content, "videos", list)):
        where = f"{path}, videos[{position}]"
        video_id = field(where, video, "video_id", str)
        if video_id in official.splits:
            raise DataError(f"{where}: video id {video_id!r} occurs twice. {MEND}")
        official.splits[video_id] = field(where, video, "split", str)
    for position, sentence in enumerate(field(str(path), content, "sentences", list)):
        where = f"{path}, sentences[{position}]"
        video_id = field(where, sentence, "video_id", str)
        if video_id not in official.splits:
            raise DataError(f"{where}: a caption for {video_id!r}, which is not among its videos. {MEND}")
        numbered = (field(where, sentence, "sen_id", int), field(where, sentence, "caption", str))
        official.captions.setdefault(video_id, []).append(numbered)


class _StandIn(StandIn):
    manner = Manner(Style(7, 10), Voice(), (1, 1))

    def video_name(self, number: int, clip: Told) -> str:
        return f"video{number}.mp4"

    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        told = {stem(name): clip for name, clip in zip(names, clips, strict=True)}
        rows = [
            f"ret{i},msr{video.removeprefix('video')},{video},{clip.sentences[0]}"
            for i, (video, clip) in enumerate(told.items())
        ]
        videos = [
            {
                "category": 0,
                "url": "",
                "video_id": video,
                "start time": 0.0,
                "end time": float(clip.scene.seconds),
                "split": "test",
                "id": number,
            }
            for number, (video, clip) in enumerate(told.items())
        ]
        pairs = [(video, text) for video, clip in told.items() for text in clip.sentences]
        sentences = [
            {"caption": text, "video_id": video, "sen_id": number}
            for number, (video, text) in enumerate(pairs)
        ]
        return {
            CSV: lines(["key,vid_key,video_id,sentence", *rows]),
            WHOLE: as_json({"info": {}, "videos": videos, "sentences": sentences}),
        }


class _MSRVTT(Room):
    stand_in = _StandIn()

    def load(self, folder: Path, protocol: Protocol) -> Split:
        return _load(folder, protocol)

    def seconds(self, video: Video) -> Range | None:
        """The official JSON has clips of 10 to 30 seconds only."""
        return 10.0, 30.0


ROOM = _MSRVTT()
