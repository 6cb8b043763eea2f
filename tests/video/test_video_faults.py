"""Files that are no video, that lost frames, that have awkward names: an error or all frames, never less."""

import gzip
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_clips import make, number_of, picture
from PIL import Image

from xbench.errors import DataError
from xbench.video.choice import MAY_DIFFER, NO_FRAME, UNDER_ONE_FPS, Sampling, choose
from xbench.video.decode import DamagedVideo, UnreadableVideo, probe, read_clip, resize_and_crop

ALL = Sampling(max_frames=10_000)


def make_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_play_list(path: Path) -> None:
    make(path.with_name("other.mp4"), frames=5)
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


NO_VIDEO: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), "zero bytes"),
    "text": (lambda path: path.write_text("no video at all\n" * 50), "Invalid data"),
    "no such file": (lambda path: None, "No such file"),
    "a folder": (lambda path: path.mkdir(), "it is a folder"),
    "a pipe that nobody writes": (os.mkfifo, "it is a pipe"),
    "a link to nowhere": (lambda path: path.symlink_to("gone.mp4"), "a link to gone.mp4, which is not there"),
    "a link to itself": (lambda path: path.symlink_to(path), "a link that leads to itself"),
    "HTML": (lambda path: path.write_text("\n<!DOCTYPE html><html>no</html>"), "an HTML page"),
    "JSON": (lambda path: path.write_text('{"error": "quota exceeded"}'), "it is JSON"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"video" * 99)), "gzip data: unpack it"),
    "a Git LFS pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "Git LFS pointer",
    ),
    "zeros": (lambda path: path.write_bytes(bytes(100_000)), "begins with zeros"),
    "sound only": (make_sound, "no video stream"),
    "a play list": (make_play_list, "play list"),
    "an address list": (
        lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n"),
        "Invalid data",
    ),
}


@pytest.mark.parametrize("kind", NO_VIDEO)
@pytest.mark.parametrize(
    "read", [probe, lambda path: read_clip(path, None, ALL, 64)], ids=["probe", "read_clip"]
)
def test_what_is_no_video_is_an_error_with_the_file_and_the_cause(
    kind: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    create, cause = NO_VIDEO[kind]
    path = tmp_path / "clip.mp4"
    create(path)
    with pytest.raises(UnreadableVideo, match=cause) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", frames=5)
    path.chmod(0)
    with pytest.raises(UnreadableVideo, match="Permission denied"):
        read_clip(path, None, ALL, 64)


def test_a_play_list_never_reaches_another_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path = tmp_path / "clip.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(UnreadableVideo):
            read_clip(path, None, ALL, 64)
        with pytest.raises(TimeoutError):
            server.accept()


def test_probe_tells_the_header(tmp_path: Path) -> None:
    info = probe(make(tmp_path / "clip.mkv", frames=90, rate=30, size=(120, 80)))
    assert (info.width, info.height, info.fps, info.frames) == (120, 80, 30.0, 90)
    assert (info.codec, info.container, info.duration) == ("h264", "matroska,webm", 3.0)


@pytest.mark.parametrize("name", ["-y.mp4", "http:clip.mp4", "a b%03d ü.mp4", "clip.", "x.mp4.mp4"])
def test_awkward_names_are_only_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "clip.mp4", frames=30).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read_clip(Path(name), None, ALL, 64).source == (0, 25)


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    make(tmp_path / "clip.mp4", frames=30).rename(path)
    assert read_clip(path, None, ALL, 64).source == (0, 25)


def test_a_title_that_is_not_utf8_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "titled.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caf#"
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(5, 96, 64), format="rgb24")))
    path.write_bytes(path.read_bytes().replace(b"caf#", b"caf\xe9"))
    assert number_of(read_clip(path, None, ALL, None).frames[0]) == 5


def cut_short(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fast.mp4", {"mux": {"movflags": "faststart"}}),
        ("plain.mkv", {}),
        ("plain.webm", {"codec": "libvpx-vp9", "b_frames": 0, "options": {"deadline": "realtime"}}),
        ("plain.avi", {"codec": "mpeg4", "b_frames": 0}),
        ("pictures.avi", {"codec": "mjpeg", "b_frames": 0, "pixels": "yuvj420p"}),
        ("plain.flv", {"codec": "flv", "b_frames": 0}),
    ],
)
def test_a_file_cut_short_is_damaged_and_says_wanted_and_got(
    name: str, options: dict[str, object], tmp_path: Path
) -> None:
    path = make(tmp_path / name, frames=200, gop=25, **options)  # type: ignore[arg-type]
    whole = read_clip(path, None, ALL, None)
    with pytest.raises(DamagedVideo) as caught:
        read_clip(cut_short(path, 0.6), None, ALL, None)
    error = caught.value
    assert error.wanted == len(whole.source) == 8
    assert 0 < error.got < error.wanted
    assert error.clip.source == whole.source[: error.got]
    assert np.array_equal(error.clip.frames, whole.frames[: error.got])
    assert f"{error.got} of {error.wanted}" in str(error)
    assert error.exit_code == 3
    assert str(path) in str(error)


def test_a_wmv_cut_short_is_damaged_although_its_length_is_lost_with_the_tail(tmp_path: Path) -> None:
    path = cut_short(make(tmp_path / "plain.wmv", codec="wmv2", frames=200, gop=25, b_frames=0), 0.6)
    with pytest.raises(DamagedVideo, match="cut short"):
        read_clip(path, None, ALL, None)


def test_damage_behind_the_window_does_not_matter(tmp_path: Path) -> None:
    path = make(tmp_path / "fast.mp4", frames=200, gop=25, mux={"movflags": "faststart"})
    whole = read_clip(path, (0, 2), ALL, None)
    clip = read_clip(cut_short(path, 0.6), (0, 2), ALL, None)
    assert np.array_equal(clip.frames, whole.frames)


def test_damage_in_the_middle_gives_the_frames_before_it(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", frames=200, gop=250, mux={"movflags": "faststart"})
    whole = read_clip(path, None, ALL, None)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    with pytest.raises(DamagedVideo) as caught:
        read_clip(path, None, ALL, None)
    assert np.array_equal(caught.value.clip.frames, whole.frames[: caught.value.got])


def test_uniform_sampling_counts_wanted_and_got_on_a_damaged_file(tmp_path: Path) -> None:
    path = make(tmp_path / "plain.mkv", frames=200, gop=25)
    whole = read_clip(path, None, Sampling(8, "uniform"), None)
    with pytest.raises(DamagedVideo) as caught:
        read_clip(cut_short(path, 0.6), None, Sampling(8, "uniform"), None)
    error = caught.value
    assert (error.wanted, error.got) == (8, len(error.clip.source))
    assert error.clip.source == whole.source[: error.got]


def test_a_file_without_its_index_is_unreadable(tmp_path: Path) -> None:
    path = cut_short(make(tmp_path / "index-last.mp4", frames=100), 0.6)
    with pytest.raises(UnreadableVideo):
        read_clip(path, None, ALL, None)


@pytest.mark.parametrize("rule", ["published", "uniform"])
def test_a_window_without_a_frame_is_an_error_and_not_an_empty_clip(rule: str, tmp_path: Path) -> None:
    path = make(tmp_path / "short.mp4", frames=50)
    with pytest.raises(UnreadableVideo, match=r"between second 10 and 20 of its 2\.0 seconds"):
        read_clip(path, (10, 20), Sampling(12, rule), 64)  # type: ignore[arg-type]


def test_an_image_under_a_videos_name_is_one_frame_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "clip.png"
    Image.fromarray(picture(3, 96, 64)).save(path)
    clip = read_clip(path.rename(tmp_path / "clip.mp4"), None, ALL, None)
    assert [number_of(frame) for frame in clip.frames] == [3]
    assert clip.notes == (NO_FRAME,)


def test_under_one_frame_a_second_every_frame_is_taken_and_noted(tmp_path: Path) -> None:
    path = make(tmp_path / "slow.mp4", rate=Fraction(1, 2), frames=8)
    clip = read_clip(path, None, ALL, None)
    assert [number_of(frame) for frame in clip.frames] == list(range(8))
    assert clip.notes == (UNDER_ONE_FPS,)


def test_uniform_sampling_needs_no_word_about_the_published_choice(tmp_path: Path) -> None:
    path = make(tmp_path / "program.mpg", codec="mpeg2video", frames=120)
    clip = read_clip(path, None, Sampling(4, "uniform"), None)
    assert [number_of(frame) for frame in clip.frames] == list(clip.source) == [14, 44, 74, 104]
    assert clip.notes == ()
    assert read_clip(path, None, ALL, None).notes == (MAY_DIFFER,)


def test_many_threads_read_what_one_reads(tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{gop}.mp4", gop=gop) for gop in (5, 25, 250)] * 8
    alone = [read_clip(path, None, ALL, 64) for path in paths[:3]] * 8
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda path: read_clip(path, None, ALL, 64), paths))
    for one, other in zip(alone, together, strict=True):
        assert one.source == other.source
        assert np.array_equal(one.frames, other.frames)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small file of each container, as bytes."""
    folder = tmp_path_factory.mktemp("intact")
    options = {"mp4": {}, "mkv": {}, "avi": {"codec": "mpeg4"}, "ts": {}, "mpg": {"codec": "mpeg2video"}}
    return {
        ending: make(folder / f"clip.{ending}", frames=60, gop=20, **chosen).read_bytes()  # type: ignore[arg-type]
        for ending, chosen in options.items()
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ending=st.sampled_from(["mp4", "mkv", "avi", "ts", "mpg"]),
    broken=st.dictionaries(st.floats(0, 0.999), st.integers(0, 255), min_size=1, max_size=20),
    keep=st.floats(0.1, 1),
)
def test_any_broken_file_gives_frames_or_a_data_error(
    ending: str, broken: dict[float, int], keep: float, intact: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(intact[ending][: int(len(intact[ending]) * keep)])
    for place, value in broken.items():
        content[int(place * len(content))] = value
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    try:
        clip = read_clip(path, None, Sampling(4), 32)
    except DataError:
        return
    assert clip.frames.shape == (len(clip.source), 3, 32, 32)
    assert 0 < len(clip.source) <= 4


@pytest.mark.parametrize(("name", "flags", "size"), [("a.ts", "0", 188), ("a.m2ts", "1", 192)])
def test_a_transport_stream_that_ends_within_a_packet_is_cut_short(
    tmp_path: Path, name: str, flags: str, size: int
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w", format="mpegts", options={"mpegts_m2ts_mode": flags}) as container:
        stream = container.add_stream("mpeg2video", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(20):
            picture = np.full((48, 64, 3), 12 * shade, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert len(data) % size == 0

    def fault() -> str | None:
        loss = choose(path, None, Sampling(4)).scan.loss
        return loss and loss.cause

    assert fault() is None
    path.write_bytes(data + bytes(20))
    assert fault() is None  # what follows is no packet
    path.write_bytes(data[: len(data) * 2 // 3 // size * size + 50])
    assert "ends within a transport packet" in str(fault())


def test_an_encrypted_file_is_told(tmp_path: Path) -> None:
    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    path = make(tmp_path / "clip.mp4", frames=30, mux=keys)
    with pytest.raises(UnreadableVideo, match="it is encrypted"):
        read_clip(path, None, ALL, 64)


@pytest.mark.parametrize("after", ["gone", "other"])
def test_a_file_that_vanishes_or_changes_while_it_is_read_is_named(
    after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "clip.mp4", frames=60)

    def interfere(*more: object) -> object:
        result = resize_and_crop(*more)  # type: ignore[arg-type]
        if after == "gone":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(b"other")
        return result

    monkeypatch.setattr("xbench.video.decode.resize_and_crop", interfere)
    with pytest.raises(UnreadableVideo, match="changed or vanished") as caught:
        read_clip(path, None, ALL, 64)
    assert str(path) in str(caught.value)
