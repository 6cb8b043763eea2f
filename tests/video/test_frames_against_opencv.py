"""The frames of the published rule are those that OpenCV hands to the published extractor, pixel by pixel.

Held against the OpenCV that is installed, whichever family it is of: `make opencv` runs this with both.
"""

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import irregular, make, make_headless, make_packed, make_resized, number_of
from published_extractor import FAMILY, extract, read_in_turn, slices

from xbench.video.choice import MAY_DIFFER, NO_FRAME, PIXELS_MAY_DIFFER, Sampling
from xbench.video.decode import read_clip
from xbench.video.pixels import Converter

ALL = Sampling(max_frames=10_000)
X265 = {"x265-params": "log-level=none"}
QUICK = {"deadline": "realtime", "cpu-used": "8"}

CONSTANT: dict[str, dict[str, Any]] = {
    "h264.mp4": {"gop": 25},
    "one-key-frame.mp4": {"gop": 250, "b_frames": 3},
    "fragmented.mp4": {"gop": 25, "mux": {"movflags": "frag_keyframe+empty_moov"}},
    "29.97.mov": {"rate": Fraction(30000, 1001)},
    "14.99.mkv": {"rate": Fraction(15000, 1001)},
    "50.flv": {"rate": 50},
    "mpeg4.3gp": {"codec": "mpeg4", "b_frames": 0},
    "h265.mp4": {"codec": "libx265", "options": X265},
    "vp9.webm": {"codec": "libvpx-vp9", "b_frames": 0, "options": QUICK},
    "mjpeg.avi": {"codec": "mjpeg", "b_frames": 0, "pixels": "yuvj420p"},
    "wmv2.wmv": {"codec": "wmv2", "b_frames": 0},
    "animated.gif": {"codec": "gif", "b_frames": 0, "pixels": "rgb8", "frames": 30},
    "10bit.mp4": {"pixels": "yuv420p10le"},
    "422.mov": {"codec": "prores_ks", "b_frames": 0, "pixels": "yuv422p10le"},
    "444-odd.mp4": {"pixels": "yuv444p", "size": (101, 67)},
    "odd.mkv": {"codec": "ffv1", "b_frames": 0, "size": (101, 67)},
    "portrait.mp4": {"size": (64, 120)},
    "late-start.mkv": {"times": [5000 + 40 * number for number in range(100)]},
    "single.mp4": {"frames": 1},
    **{f"turned-{angle}.mov": {"rotation": angle} for angle in (90, 180, 270, 45)},
}


def assert_same(path: Path, window: tuple[int, int] | None = None) -> None:
    expected = extract(path, window)
    clip = read_clip(path, window, ALL, None, FAMILY)
    assert [number_of(frame) for frame in clip.frames] == [number_of(frame) for frame in expected]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(clip.frames, expected, strict=True))


@pytest.mark.parametrize("name", CONSTANT)
def test_a_clip_of_constant_rate_gives_opencvs_pixels(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / name, **CONSTANT[name])
    assert_same(path)
    assert read_clip(path, None, ALL, None).notes == ()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("mp4", {"gop": 30}),
        ("mkv", {"gop": 12, "b_frames": 3}),
        ("mov", {"gop": 250, "b_frames": 0}),
        ("webm", {"codec": "libvpx-vp9", "gop": 25, "b_frames": 0, "options": QUICK}),
        ("mkv", {"codec": "libx265", "gop": 30, "options": X265}),
    ],
)
def test_a_clip_of_variable_rate_gives_the_frames_that_opencv_seeks_to(
    seed: int, ending: str, options: dict[str, Any], tmp_path: Path
) -> None:
    frames = 90 + 13 * seed
    path = make(tmp_path / f"vfr.{ending}", frames=frames, times=irregular(seed, frames), **options)
    assert_same(path)
    assert read_clip(path, None, ALL, None).notes == ()


def test_counting_alone_would_miss_at_a_variable_rate(tmp_path: Path) -> None:
    path = make(tmp_path / "vfr.mp4", frames=150, gop=30, times=irregular(1, 150))
    clip = read_clip(path, None, ALL, None)
    rate = int(clip.info.fps)
    assert clip.source != tuple(rate * second for second in range(len(clip.source)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("codec", "b_frames"), [("mpeg4", 0), ("mpeg4", 2), ("libx264", 2)])
def test_an_avi_with_dropped_frames_gives_the_frames_that_opencv_seeks_to(
    seed: int, codec: str, b_frames: int, tmp_path: Path
) -> None:
    times = [40 * (time // 40) for time in irregular(4 * seed + 1, 150)]
    path = make(
        tmp_path / "drops.avi",
        codec=codec,
        frames=150,
        gop=30,
        b_frames=b_frames,
        times=times,
        base=Fraction(1, 25),
    )
    assert_same(path)


@pytest.mark.parametrize(("gop", "b_frames"), [(24, 1), (13, 2), (250, 1)])
def test_an_avi_with_packed_b_frames_is_counted_by_index_and_noted(
    gop: int, b_frames: int, tmp_path: Path
) -> None:
    path = make_packed(tmp_path / "packed.avi", frames=150, gop=gop, b_frames=b_frames)
    assert_same(path)
    clip = read_clip(path, None, ALL, None)
    assert [number_of(frame) for frame in clip.frames] == list(clip.source) == [0, 25, 50, 75, 100, 125]
    assert clip.notes == (MAY_DIFFER,)


def test_a_trimmed_clip_skips_what_its_edit_list_hides(tmp_path: Path) -> None:
    path = make(tmp_path / "trimmed.mp4", frames=130, gop=40, first_time=-20)
    assert_same(path)
    assert [number_of(frame) for frame in read_clip(path, None, ALL, None).frames] == [20, 45, 70, 95, 120]


@pytest.mark.parametrize("sizes", [((96, 64), (192, 128)), ((192, 128), (96, 64)), ((96, 64), (64, 96))])
def test_frames_that_change_size_all_get_the_headers_size(
    sizes: tuple[tuple[int, int], tuple[int, int]], tmp_path: Path
) -> None:
    path = make_resized(tmp_path / "change.avi", *sizes)
    expected = extract(path)
    clip = read_clip(path, None, ALL, None, FAMILY)
    assert clip.frames.shape[1:3] == sizes[0][::-1]
    if FAMILY == "published":  # OpenCV 4 shows the last picture of the first size, or what lay in memory
        assert clip.notes == (PIXELS_MAY_DIFFER,)
        return
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(clip.frames, expected, strict=True))


def test_packets_that_give_no_frame_are_not_counted(tmp_path: Path) -> None:
    path = make_headless(tmp_path / "headless.avi", frames=26)
    in_turn = read_in_turn(path)
    assert len(in_turn) == 24
    assert_same(path)
    clip = read_clip(path, None, Sampling(30, "uniform"), None)
    assert clip.source == tuple(range(24))
    assert np.array_equal(clip.frames, in_turn)


@pytest.mark.parametrize("name", ["program.mpg", "transport.mts"])
def test_a_stream_without_index_is_counted_by_index_and_noted(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / name, codec="mpeg2video", gop=12)
    clip = read_clip(path, None, ALL, None)
    assert [number_of(frame) for frame in clip.frames] == list(clip.source)
    assert clip.source[:4] == (0, 25, 50, 75)
    assert clip.notes == (MAY_DIFFER,)


@pytest.mark.parametrize("window", [(0, 31), (0, 2), (1, 3), (3, 9)])
def test_a_window_gives_the_frames_of_the_published_window(window: tuple[int, int], tmp_path: Path) -> None:
    assert_same(make(tmp_path / "constant.mp4", frames=115, gop=30), window)
    assert_same(make(tmp_path / "vfr.mkv", frames=115, gop=30, times=irregular(0, 115)), window)


@pytest.mark.parametrize("max_frames", [1, 3, 5])
def test_the_cut_keeps_the_frames_that_the_published_cut_keeps(max_frames: int, tmp_path: Path) -> None:
    path = make(tmp_path / "long.mp4", frames=190)
    expected = slices(extract(path), max_frames)
    clip = read_clip(path, None, Sampling(max_frames), None)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(clip.frames, expected, strict=True))


@pytest.mark.parametrize("ending", ["webm", "mp4"])
def test_av1_which_opencv_cannot_decode_is_decoded_and_noted(ending: str, tmp_path: Path) -> None:
    path = make(
        tmp_path / f"av1.{ending}", codec="libsvtav1", b_frames=0, frames=60, options={"preset": "12"}
    )
    clip = read_clip(path, None, ALL, None)
    assert [number_of(frame) for frame in clip.frames] == [0, 25, 50]
    assert clip.notes == (NO_FRAME,)


def test_only_wanted_frames_are_converted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "long.mp4", frames=1500)
    converted = []
    convert = Converter.__call__
    monkeypatch.setattr(
        Converter, "__call__", lambda self, frame: converted.append(frame.pts) or convert(self, frame)
    )
    tracemalloc.start()
    clip = read_clip(path, None, Sampling(12), 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(converted) == len(clip.source) == 12
    assert peak < 1500 * 1000  # bytes: a decoded frame alone has 18,432
