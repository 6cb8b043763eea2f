"""What a file's bytes say, apart from its frames, of bytes that are missing: sizes, boxes, runs of zeros."""

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML_SEGMENT = bytes.fromhex("18538067")
_TRANSPORT_SYNC = 0x47
_ZERO_RUN = 512
"""Bytes: no codec's data holds as many zeros in a row where a container expects a header."""
_CHUNK = 1 << 20
_WITH_FRAMES = (b"moof", b"mdat", b"moov")
"""MP4 boxes whose loss costs frames."""


@dataclass(frozen=True)
class Boxes:
    """The top level of an MP4 file (ISO/IEC 14496-12), as far as it is one.

    promised: where the file ends by a box or a segment index that reaches past its end, else None. broken:
    why its fragments are not whole, None when they are or there are none. fragments: whether it has any.
    indexed: whether a segment index (sidx) lists them.
    """

    promised: int | None
    broken: str | None
    fragments: bool
    indexed: bool


def promised_size(path: Path) -> int | None:
    """Return the file size that an AVI, Matroska or ASF header states, None where it states none."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska_size(head)
    at = head.find(_ASF_FILE_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else None


def ends_within_a_transport_packet(path: Path) -> bool:
    """Whether bytes that begin as a packet of the stream, but are no whole one, end the file.

    Packets have 188 bytes from the sync byte on; in .m2ts four more precede them (ISO/IEC 13818-1, 2.4.3.2).
    """
    with path.open("rb") as file:
        head = file.read(1024)
        sizes = ((188, 0), (192, 4))
        found = next((each for each in sizes if set(head[each[1] :: each[0]]) == {_TRANSPORT_SYNC}), None)
        if found is None:
            return False
        size, sync = found
        file.seek(path.stat().st_size // size * size)
        return file.read(size)[sync : sync + 1] == bytes([_TRANSPORT_SYNC])


def has_zero_run(path: Path, start: int, end: int) -> bool:
    """Whether bytes [start, end) of a file hold a run of zeros that no codec writes."""
    run, kept = bytes(_ZERO_RUN), b""
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (data := file.read(min(_CHUNK, end - start))):
            if run in kept + data:
                return True
            start, kept = start + len(data), data[-_ZERO_RUN + 1 :]
    return False


def read_boxes(path: Path) -> Boxes:
    """Walk the top level of an MP4 file; what follows a box of no known kind is not looked at."""
    size, promised, broken, indexed = path.stat().st_size, 0, None, False
    sequence: dict[int, int] = {}
    inside = False
    with path.open("rb") as file:
        for kind, start, end in _boxes(file, size):
            promised = max(promised, end)
            if kind == b"sidx":
                indexed = True
                promised = max(promised, _indexed_end(file, end))
            elif kind == b"moof":
                broken = broken or _skipped(file, sequence)
                inside = True
            elif kind == b"mdat":
                if sequence and not inside:
                    broken = broken or "a fragment has lost its header"
                inside = False
            elif kind == bytes(4) and sequence and _begins_early(path, start, promised):
                broken = broken or f"zeros stand where a fragment begins, at byte {start}"
    return Boxes(promised if promised > size else None, broken, bool(sequence), indexed)


def _begins_early(path: Path, zeros: int, indexed: int) -> bool:
    """Whether zeros behind a fragment are no junk: they began in it, or an index or more data follows."""
    if zeros < indexed or has_zero_run(path, zeros - _ZERO_RUN, zeros):
        return True
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content.find(b"moof", zeros) >= 0


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each box, the file standing at its content; a strange kind is the last."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        large = length == 1
        if large:
            length = int.from_bytes(head[8:16], "big")
        known = kind.isalnum() and length >= 8
        within = start + length <= size
        if not known or (not within and kind not in _WITH_FRAMES):
            yield kind, start, min(start, size)
            return
        file.seek(start + (16 if large else 8))
        yield kind, start, start + length
        start += length


def _indexed_end(file: BinaryIO, anchor: int) -> int:
    """Return where the last segment ends that a sidx box, whose content begins here, lists."""
    head = file.read(12)
    wide = head[0] == 1
    times = file.read(16 if wide else 8)
    first = int.from_bytes(times[8:] if wide else times[4:], "big")
    count = int.from_bytes(file.read(4)[2:], "big")
    entries = file.read(12 * count)
    sizes = (int.from_bytes(entries[at : at + 4], "big") & 0x7FFFFFFF for at in range(0, len(entries), 12))
    return anchor + first + sum(sizes)


def _skipped(file: BinaryIO, sequence: dict[int, int]) -> str | None:
    """Note the number of a fragment whose content begins here, by its track; say if numbers are left out."""
    content = file.read(4096)
    at, track = content.find(b"mfhd"), content.find(b"tfhd")
    if at < 0 or track < 0:
        return None
    number = int.from_bytes(content[at + 8 : at + 12], "big")
    last = max(sequence.values(), default=number - 1)
    sequence[int.from_bytes(content[track + 8 : track + 12], "big")] = number
    return f"fragments {last + 1} to {number - 1} are missing" if number > last + 1 else None


def _matroska_size(head: bytes) -> int | None:
    at = head.find(_EBML_SEGMENT)
    if at < 0 or at + 5 > len(head) or head[at + 4] == 0:
        return None
    length = 9 - head[at + 4].bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << (7 * length)) - 1)
    unknown = (1 << (7 * length)) - 1
    return None if value == unknown else at + 4 + length + value
