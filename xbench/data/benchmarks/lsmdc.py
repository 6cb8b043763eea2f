"""LSMDC: one TAB-separated file without a header, six columns, the caption in the last."""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from xbench.data.benchmarks.room import Range, Room
from xbench.data.benchmarks.stand_in import Files, Manner, StandIn, Style, Told, Voice, lines, stem
from xbench.data.reading import build_split, read_lines, require_unique
from xbench.data.split import Split, Video
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

COLUMNS = "clip, start and end (aligned), start and end (extracted), caption"
_CLOCK = r"(\d+)\.(\d+)\.(\d+)\.(\d+)"


class Reading(BaseModel):
    """The file, and the clips that are left out."""

    model_config = ConfigDict(extra="forbid")
    file: str
    skip: tuple[str, ...] = ()


def _load(folder: Path, protocol: Protocol) -> Split:
    """Read one LSMDC protocol from its file in `folder`."""
    reading = Reading.model_validate(protocol.read)
    path = folder / reading.file
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    rows = [(number, _fields(path, number, line)) for number, line in lines]
    if _is_header(rows[0][1]):
        rows = rows[1:]
    require_unique(path, [(number, fields[0]) for number, fields in rows])
    pairs = [(fields[0], fields[5]) for _, fields in rows if fields[0] not in reading.skip]
    return build_split(protocol, pairs, path)


def _fields(path: Path, number: int, line: str) -> list[str]:
    fields = line.split("\t")
    if len(fields) != 6:
        raise DataError(
            f"{path}, line {number}: expected 6 TAB-separated columns ({COLUMNS}), found {len(fields)}."
        )
    return fields


def _is_header(fields: list[str]) -> bool:
    """Some copies got a line of column names; in a real row the four times are digits."""
    return not any(re.search(r"\d", field) for field in fields[1:5])


def _seconds(clock: tuple[str, ...]) -> float:
    hours, minutes, seconds, thousandths = clock
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000


class _StandIn(StandIn):
    manner = Manner(Style(6, 8), Voice(sentences=True), (1, 1))

    def video_name(self, number: int, clip: Told) -> str:
        minute, second = divmod(number * 10, 60)
        times = [f"00.{minute:02}.{second + extra:02}.000" for extra in (0, clip.scene.seconds)]
        return f"0001_Miniature_{'-'.join(times)}.avi"

    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        rows = []
        for name, clip in zip(names, clips, strict=True):
            start, end = stem(name).rpartition("_")[2].split("-")
            rows.append("\t".join((stem(name), start, end, start, end, clip.sentences[0])))
        return {"LSMDC16_challenge_1000_publictect.csv": lines(rows)}


class _LSMDC(Room):
    stand_in = _StandIn()

    def load(self, folder: Path, protocol: Protocol) -> Split:
        return _load(folder, protocol)

    def seconds(self, video: Video) -> Range | None:
        """The id ends in two times of the movie: `1012_Unbreakable_00.05.16.065-00.05.21.941`."""
        found = re.search(f"{_CLOCK}-{_CLOCK}$", video.id)
        if not found:
            return None
        start, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        return end - start, end - start


ROOM = _LSMDC()
