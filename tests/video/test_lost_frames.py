"""A file that lost frames is damaged, also where the decoder says nothing; whole but odd files are not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from made_clips import irregular, make, make_packed, number_of

from xbench.video.choice import LOST_ELSEWHERE, OLDER_DIFFER, Sampling
from xbench.video.decode import DamagedVideo, read_clip

ALL = Sampling(max_frames=10_000)
QUICK = {"deadline": "realtime", "cpu-used": "8"}
X265 = {"codec": "libx265", "options": {"x265-params": "log-level=none"}}
DASH = {"mux": {"movflags": "dash+frag_keyframe+empty_moov+global_sidx"}}
FRAGMENTS = {"mux": {"movflags": "frag_keyframe+empty_moov"}}
MPEG4 = {"codec": "mpeg4", "b_frames": 0}
VP8 = {"codec": "libvpx", "b_frames": 0, "options": QUICK}
VP9 = {"codec": "libvpx-vp9", "b_frames": 0, "options": QUICK}
WMV = {"codec": "wmv2", "b_frames": 0}


def zeroed(start: float, end: float) -> Callable[[Path], None]:
    """Put zeros over a share of the bytes, as in a download that was preallocated and not filled in."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        first, stop = int(start * len(data)), int(end * len(data))
        data[first:stop] = bytes(stop - first)
        path.write_bytes(data)

    return change


def without(*numbers: int) -> Callable[[Path], None]:
    """Leave out packets, and keep the times of the others."""

    def change(path: Path) -> None:
        kept = path.rename(path.with_stem("before"))
        with av.open(str(kept)) as source, av.open(str(path), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            packets = (packet for packet in source.demux(video=0) if packet.size)
            for number, packet in enumerate(packets):
                if number not in numbers:
                    packet.stream = stream
                    target.mux(packet)

    return change


def cut(share: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return change


def fragments(path: Path) -> list[int]:
    """Return where each fragment begins."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        if data[at + 4 : at + 8] == b"moof":
            found.append(at)
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def cut_between_fragments(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: fragments(path)[4]])


def without_a_fragment(path: Path) -> None:
    data, starts = path.read_bytes(), fragments(path)
    path.write_bytes(data[: starts[3]] + data[starts[4] :])


def without_a_fragments_header(path: Path) -> None:
    data, start = bytearray(path.read_bytes()), fragments(path)[3]
    data[start + 4 : start + 8] = b"free"
    path.write_bytes(data)


LOST: dict[str, tuple[str, dict[str, Any], Callable[[Path], None], int, int]] = {
    # ending, encoder, what happened; how many frames are wanted and how many lie before the loss
    "zero tail, Matroska": ("mkv", {}, zeroed(0.6, 1), 8, 5),
    "zero tail, AVI": ("avi", MPEG4, zeroed(0.6, 1), 8, 5),
    "zero tail, FLV": ("flv", {"codec": "flv", "b_frames": 0}, zeroed(0.6, 1), 8, 5),
    "zero tail, VP8": ("webm", VP8, zeroed(0.6, 1), 8, 5),
    "zero tail, VP9": ("webm", VP9, zeroed(0.6, 1), 8, 5),
    "zero tail, WMV": ("wmv", WMV, zeroed(0.6, 1), 8, 5),
    "zero tail, fragments": ("mp4", FRAGMENTS, zeroed(0.6, 1), 6, 5),
    "zero tail, DASH": ("mp4", DASH, zeroed(0.6, 1), 9, 5),
    "hole, fragments": ("mp4", FRAGMENTS, zeroed(0.4, 0.55), 4, 3),
    "hole, VP8": ("webm", VP8, zeroed(0.4, 0.55), 8, 4),
    "hole, H.265": ("mkv", X265, zeroed(0.4, 0.55), 8, 3),
    "hole, WMV": ("wmv", WMV, zeroed(0.4, 0.6), 8, 4),
    "DASH cut at a fragment": ("mp4", DASH, cut_between_fragments, 9, 4),
    "DASH without a fragment": ("mp4", DASH, without_a_fragment, 9, 3),
    "DASH without a header": ("mp4", DASH, without_a_fragments_header, 9, 3),
    "live Matroska cut": ("mkv", {}, lambda path: (live(path), cut(0.6)(path))[0], 8, 5),
    "first key frame, H.264": ("mp4", {}, without(0), 8, 0),
    "first key frame, VP9": ("webm", VP9, without(0), 8, 0),
    "first key frame, AVI": ("avi", MPEG4, without(0), 8, 0),
    "packets, H.265": ("mp4", X265, without(*range(80, 85)), 10, 4),
    "one packet, H.265": ("mp4", X265, without(90), 9, 4),
    "order jumps back": ("mkv", {"codec": "mpeg2video"}, without(*range(60, 120)), 8, 3),
}


def live(path: Path) -> None:
    """Make the segment's size unknown, as a live writer leaves it; the duration stays."""
    data = bytearray(path.read_bytes())
    at = data.find(bytes.fromhex("18538067")) + 4
    assert data[at] == 1
    data[at : at + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data)


@pytest.mark.parametrize("kind", LOST)
def test_a_file_that_lost_frames_is_damaged_and_says_wanted_and_got(kind: str, tmp_path: Path) -> None:
    ending, options, change, wanted, got = LOST[kind]
    path = make(tmp_path / f"clip.{ending}", frames=200, gop=25, **options)
    change(path)
    with pytest.raises(DamagedVideo) as caught:
        read_clip(path, None, ALL, None)
    error = caught.value
    assert (error.wanted, error.got) == (wanted, got)
    if got:
        numbers = [number_of(frame) for frame in error.clip.frames[:got]]
        assert numbers == sorted(set(numbers))
        assert numbers[0] == 0


@pytest.mark.parametrize(
    "kind", ["zero tail, Matroska", "hole, VP8", "packets, H.265", "DASH cut at a fragment"]
)
def test_a_loss_behind_the_window_is_a_note(kind: str, tmp_path: Path) -> None:
    ending, options, change, _, _ = LOST[kind]
    path = make(tmp_path / f"clip.{ending}", frames=200, gop=25, **options)
    change(path)
    clip = read_clip(path, (0, 2), ALL, None)
    assert len(clip.source) == 3
    assert clip.notes in ((), (LOST_ELSEWHERE,))  # what is not decoded cannot bear out a gap


def test_behind_a_loss_the_frames_are_those_that_opencv_seeks_to(shared: Path) -> None:
    with pytest.raises(DamagedVideo) as caught:
        read_clip(shared / "cases" / "video" / "hevc_lost_packets.mp4", None, ALL, None)
    numbers = [number_of(frame) for frame in caught.value.clip.frames]
    assert numbers == [0, 24, 49, 78, 98, 122, 147, 172, 196, 199]


@pytest.mark.parametrize(
    ("prefix", "damaged"),
    [
        (("zero_", "dash_", "live_", "first_", "hevc_lost"), True),
        (("whole_", "tag_", "hdr_", "interlaced_", "audio_", "vfr_"), False),
    ],
)
def test_the_cases_measured_elsewhere_are_told_apart(
    prefix: tuple[str, ...], damaged: bool, shared: Path
) -> None:
    folder = shared / "cases" / "video"
    names = [name for name in json.loads((folder / "values.json").read_text()) if name.startswith(prefix)]
    assert len(names) >= 9
    for name in names:
        try:
            clip = read_clip(folder / name, None, ALL, None)
        except DamagedVideo:
            assert damaged, name
        else:
            assert not damaged, name
            older = name.startswith(("audio_", "vfr_"))
            assert clip.notes == ((OLDER_DIFFER,) if older else ())


def junk(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 5000 + b"appended by a downloader")


def pause(path: Path, options: dict[str, Any]) -> Path:
    times = [40 * number + 4000 * (number >= 50) for number in range(100)]
    return make(path, times=times, **options)


HEALTHY: dict[str, Callable[[Path], Path]] = {
    "packed B-frames": lambda folder: make_packed(folder / "a.avi", frames=198, gop=25, b_frames=2),
    "an edit list": lambda folder: make(folder / "a.mp4", frames=130, gop=40, first_time=-20),
    "a late start": lambda folder: make(folder / "a.mkv", times=[5000 + 40 * at for at in range(100)]),
    "no duration": lambda folder: make(folder / "a.webm", frames=80, mux={"live": "1"}, **VP9),
    "an encoder's pause": lambda folder: pause(folder / "a.mkv", X265),
    "an encoder's pause in fragments": lambda folder: pause(folder / "a.mp4", DASH),
    **{
        f"variable rate {seed}": lambda folder, seed=seed: make(  # type: ignore[misc]
            folder / "a.mp4", frames=100, gop=25, times=irregular(seed, 100), **X265
        )
        for seed in range(4)
    },
}
WHOLE = [("mp4", {}), ("mkv", {}), ("avi", MPEG4), ("flv", {}), ("webm", VP8), ("mp4", DASH)]


@pytest.mark.parametrize("kind", HEALTHY)
def test_an_odd_but_whole_file_is_not_damaged(kind: str, tmp_path: Path) -> None:
    clip = read_clip(HEALTHY[kind](tmp_path), None, ALL, None)
    assert len(clip.source) >= 4
    assert LOST_ELSEWHERE not in clip.notes


@pytest.mark.parametrize(("ending", "options"), WHOLE)
def test_junk_behind_a_whole_file_is_not_damage(ending: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = make(tmp_path / f"clip.{ending}", frames=75, gop=25, **options)
    before = read_clip(path, None, ALL, None)
    junk(path)
    after = read_clip(path, None, ALL, None)
    assert (after.source, after.notes) == (before.source, before.notes)
