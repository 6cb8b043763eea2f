"""A video's packets, read without decoding: when each frame is shown, and whether the file is cut short."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML_SEGMENT = bytes.fromhex("18538067")
_TRANSPORT_SYNC = 0x47


@dataclass(frozen=True)
class PacketTime:
    """A packet. pts: when it is shown, in the stream's time base. shown: False where an edit list hides it.

    place: its offset in the file in bytes.
    """

    pts: int | None
    place: int | None
    key: bool
    shown: bool


@dataclass(frozen=True)
class Scan:
    """All packets of the video stream, and the evidence, if any, that the file lost some (`fault`)."""

    packets: tuple[PacketTime, ...]
    fault: str | None

    @property
    def frames(self) -> int:
        """How many frames the packets should decode to."""
        return sum(packet.shown for packet in self.packets)


def scan(path: Path, container: InputContainer, stream: VideoStream) -> Scan:
    """Read every packet of `stream` from the start of the file; nothing is decoded."""
    times: list[PacketTime] = []
    fault, corrupt = None, False
    try:
        for packet in filled(container, stream):
            corrupt = packet.is_corrupt
            times.append(PacketTime(packet.pts, packet.pos, packet.is_keyframe, not packet.is_discard))
    except av.error.FFmpegError as error:
        fault = error.strerror or str(error)
    if corrupt:
        times.pop()
        fault = "it ends in the middle of a frame"
    return Scan(tuple(times), fault or _cut_short(path, container, stream, len(times)))


def filled(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of `stream` that hold data (PyAV ends with an empty one)."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except IndexError:
        # PyAV 18 trips at the end of a file in which a further stream turned up; all packets came by then.
        return


def _cut_short(path: Path, container: InputContainer, stream: VideoStream, packets: int) -> str | None:
    promised = _promised_size(path)
    if promised is not None and promised > path.stat().st_size:
        return f"it is cut short: {path.stat().st_size} of {promised} bytes"
    if container.format.name == "mpegts" and _ends_within_a_transport_packet(path):
        return "it is cut short: it ends within a transport packet"
    listed = len(stream.index_entries) if container.format.name.startswith("mov") else 0
    return f"it is cut short: {packets} of {listed} frames" if listed > packets else None


def _promised_size(path: Path) -> int | None:
    """Return the file size that an AVI, Matroska or ASF header states, None where it states none."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska_size(head)
    at = head.find(_ASF_FILE_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else None


def _ends_within_a_transport_packet(path: Path) -> bool:
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


def _matroska_size(head: bytes) -> int | None:
    at = head.find(_EBML_SEGMENT)
    if at < 0 or at + 5 > len(head) or head[at + 4] == 0:
        return None
    length = 9 - head[at + 4].bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << (7 * length)) - 1)
    unknown = (1 << (7 * length)) - 1
    return None if value == unknown else at + 4 + length + value
