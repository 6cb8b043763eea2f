"""What happens to each of the odd real videos that developers have beside the checkout."""

from pathlib import Path

import numpy as np
import pytest
from made_clips import make, number_of
from published_extractor import FAMILY, extract, read_in_turn

from xbench.video.choice import MAY_DIFFER, NO_FRAME, PIXELS_MAY_DIFFER, Sampling
from xbench.video.decode import DamagedVideo, UnreadableVideo, read_clip

ALL = Sampling(max_frames=10_000)

EQUAL_TO_OPENCV: dict[str, tuple[int, ...]] = {
    "-video-with-dash-.mp4": (0, 1, 2, 3, 4),
    "carphone_pristine.mp4": (0, 29, 58, 87, 116),
    "flipping_a_pancake.mkv": tuple(range(0, 301, 30)),
    "h264_10bits.mp4": (0,),
    "h265_video.mp4": (0,),
    "nasa_13013.mp4": tuple(range(0, 301, 25)),
    "newtonscradle.gif": (0,),
    "part_0.mp4": (0, 30),
    "test.avi": tuple(range(0, 151, 25)),
    "test_video_66x50.mov": (0, 60),
    "unordered.mov": (0,),
    "video_90.mov": (0,),
}
BEYOND_OPENCV: dict[str, tuple[int, ...]] = {
    "av1_video.mkv": (0, 25, 50, 75, 100),
    "no_duration.webm": (0, 14, 28, 42, 56, 70),
}
UNREADABLE = {"result.webm": "zero bytes", "zero_empty_stsc.mp4": "Invalid data"}
DAMAGED = {"corrupted.mp4": (5, (0, 10, 20))}


@pytest.fixture(scope="module")
def videos(shared: Path) -> Path:
    return shared / "videos"


def test_every_real_video_is_covered_here(videos: Path) -> None:
    covered = EQUAL_TO_OPENCV.keys() | BEYOND_OPENCV.keys() | UNREADABLE.keys() | DAMAGED.keys()
    assert covered == {path.name for path in videos.iterdir()}


@pytest.mark.parametrize("name", EQUAL_TO_OPENCV)
def test_a_real_video_gives_opencvs_frames(name: str, videos: Path) -> None:
    clip = read_clip(videos / name, None, ALL, None, FAMILY)
    expected = extract(videos / name)
    assert clip.source == EQUAL_TO_OPENCV[name]
    assert len(expected) == len(clip.frames)
    noted = (PIXELS_MAY_DIFFER,) if (name, FAMILY) == ("h264_10bits.mp4", "published") else ()
    assert clip.notes == ((MAY_DIFFER,) if name == "test.avi" else noted)
    same = [np.array_equal(ours, theirs) for ours, theirs in zip(clip.frames, expected, strict=True)]
    assert all(same) or noted


@pytest.mark.parametrize("name", BEYOND_OPENCV)
def test_a_real_video_in_which_opencv_finds_nothing_is_decoded_and_noted(name: str, videos: Path) -> None:
    assert extract(videos / name) == []
    clip = read_clip(videos / name, None, ALL, None, FAMILY)
    assert clip.source == BEYOND_OPENCV[name]
    assert clip.notes == (NO_FRAME,)
    in_turn = read_in_turn(videos / name)
    if in_turn:
        assert all(np.array_equal(clip.frames[at], in_turn[index]) for at, index in enumerate(clip.source))
    else:
        assert name.startswith("av1")
        assert all(frame.std() > 10 for frame in clip.frames)


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_real_video_is_an_error_with_its_cause(name: str, videos: Path) -> None:
    with pytest.raises(UnreadableVideo, match=UNREADABLE[name]) as caught:
        read_clip(videos / name, None, ALL, 64)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_real_video_is_an_error_with_the_frames_before_the_damage(name: str, videos: Path) -> None:
    with pytest.raises(DamagedVideo) as caught:
        read_clip(videos / name, None, ALL, None, FAMILY)
    wanted, source = DAMAGED[name]
    assert (caught.value.wanted, caught.value.got, caught.value.clip.source) == (wanted, len(source), source)
    expected = extract(videos / name)[: len(source)]
    assert all(
        np.array_equal(ours, theirs) for ours, theirs in zip(caught.value.clip.frames, expected, strict=True)
    )


@pytest.mark.parametrize("name", sorted(EQUAL_TO_OPENCV.keys() | BEYOND_OPENCV.keys()))
def test_uniform_sampling_reads_every_real_video(name: str, videos: Path) -> None:
    clip = read_clip(videos / name, None, Sampling(4, "uniform"), 64, "tagged")
    assert 1 <= len(clip.source) <= 4
    assert list(clip.source) == sorted(set(clip.source))
    assert clip.notes == ()


def test_a_webm_without_duration_is_decoded_and_noted(tmp_path: Path) -> None:
    path = make(
        tmp_path / "live.webm",
        codec="libvpx-vp9",
        b_frames=0,
        frames=80,
        options={"deadline": "realtime", "cpu-used": "8"},
        mux={"live": "1"},
    )
    assert extract(path) == []
    clip = read_clip(path, None, ALL, None, FAMILY)
    assert clip.info.frames is clip.info.duration is None
    assert [number_of(frame) for frame in clip.frames] == [0, 25, 50, 75]
    assert clip.notes == (NO_FRAME,)


def test_a_header_that_counts_more_than_decodes_is_no_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "trimmed.mp4", frames=100, gop=40, first_time=-30)
    clip = read_clip(path, None, ALL, None, FAMILY)
    assert clip.info.frames == 100
    assert (
        [number_of(frame) for frame in clip.frames]
        == [30, 55, 80]
        == [number_of(frame) for frame in extract(path)]
    )
