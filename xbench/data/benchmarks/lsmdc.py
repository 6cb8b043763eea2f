"""LSMDC: one TAB-separated file without a header, six columns, the caption in the last."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from xbench.data.reading import build_split, read_lines, require_unique
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.registry.datasets import Protocol

COLUMNS = "clip, start and end (aligned), start and end (extracted), caption"


class Reading(BaseModel):
    """The file, and the clips that are left out."""

    model_config = ConfigDict(extra="forbid")
    file: str
    skip: tuple[str, ...] = ()


def load(folder: Path, protocol: Protocol) -> Split:
    """Read one LSMDC protocol from its file in `folder`."""
    reading = Reading.model_validate(protocol.read)
    path = folder / reading.file
    rows = [(number, _fields(path, number, line)) for number, line in enumerate(read_lines(path), 1)]
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
