"""Small copies of videos: FFmpeg's choice of frames, true colours, and nothing half done."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_clips import make, number_of

from xbench.video.choice import Sampling
from xbench.video.compress import Copied, compress
from xbench.video.decode import probe, read_clip
from xbench.video.reencode import Recipe

EVERY = Sampling(10_000, "uniform")


def copy(source: Path, target: Path, recipe: Recipe | None = None) -> Copied:
    return compress([(source, target)], recipe or Recipe(), 1, lambda count: None)[0]


LATE = [5000 + 40 * number for number in range(60)]
GAP = [40 * number + 4000 * (number >= 20) for number in range(30)]

# What `ffmpeg -i IN -map 0:v -r 3 OUT` of FFmpeg 9.0 wrote for the same clips.
FFMPEG: dict[str, tuple[dict[str, Any], list[int]]] = {
    "30fps.mp4": ({"rate": 30}, [0, 1, 8, 18, 28, 38, 48, 58, 68, 78, 88, 98]),
    "25fps.mp4": ({"rate": 25, "frames": 60}, [0, 1, 7, 15, 24, 32, 40, 49, 57]),
    "ntsc.mp4": ({"rate": Fraction(30000, 1001)}, [0, 1, 8, 18, 28, 38, 48, 58, 68, 78, 88, 98]),
    "5fps.mp4": ({"rate": 5, "frames": 15}, [0, 1, 2, 3, 4, 6, 8, 9, 11, 13, 14]),
    "3fps.mp4": ({"rate": 3, "frames": 6}, [0, 1, 2, 3, 4, 5]),
    "2fps.mp4": ({"rate": 2, "frames": 6}, [0, 0, 1, 2, 2, 3, 4, 4, 5]),
    "single.mp4": ({"frames": 1}, [0]),
    "plain.avi": ({"codec": "mpeg4", "b_frames": 0, "frames": 60}, [0, 1, 7, 15, 24, 32, 40, 49, 57]),
    "trimmed.mp4": ({"first_time": -30}, [30, 31, 37, 45, 54, 62, 70, 79, 87, 95]),
    "late.mkv": ({"frames": 60, "times": LATE}, [0, 1, 7, 15, 24, 32, 40, 49, 57]),
    "gap.mkv": ({"frames": 30, "times": GAP}, [0, 1, 7, 15, *[19] * 10, 20, 21, 24]),
    "gap.mp4": ({"frames": 30, "times": GAP}, [0, 1, 7, 15, *[19] * 10, *[20] * 13]),
}


@pytest.mark.parametrize("name", FFMPEG)
def test_a_copy_holds_the_frames_that_ffmpeg_would_keep(name: str, tmp_path: Path) -> None:
    options, expected = FFMPEG[name]
    source = make(tmp_path / name, size=(240, 160), **options)
    assert copy(source, tmp_path / "copy.mp4").state == "made"
    clip = read_clip(tmp_path / "copy.mp4", None, EVERY, None)
    assert [number_of(frame) for frame in clip.frames] == expected
    assert clip.info.fps == 3
    assert clip.info.codec == "h264"


@pytest.mark.parametrize(
    ("size", "kept", "squeezed"),
    [
        ((320, 240), (298, 224), (298, 224)),
        ((240, 320), (224, 298), (224, 168)),
        ((200, 200), (224, 224), (224, 224)),
        ((322, 182), (396, 224), (396, 224)),
        ((10, 900), (224, 20160), (224, 2)),
    ],
)
def test_the_smaller_side_becomes_224_and_the_longer_one_even(
    size: tuple[int, int], kept: tuple[int, int], squeezed: tuple[int, int]
) -> None:
    assert Recipe().size(*size) == kept
    assert Recipe(squeeze_portrait=True).size(*size) == squeezed


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_video_has_an_upright_copy(rotation: int, tmp_path: Path) -> None:
    source = make(tmp_path / "turned.mov", rotation=rotation, frames=10, size=(320, 240))
    assert copy(source, tmp_path / "copy.mp4").state == "made"
    original = read_clip(source, None, Sampling(1), 224).frames.astype(int)
    small = read_clip(tmp_path / "copy.mp4", None, Sampling(1), 224).frames
    assert abs(original - small).mean() < 4


@pytest.mark.parametrize(
    ("codec", "pixels", "space", "spread"),
    [
        pytest.param("libx264", "yuv420p", 1, 1, id="BT.709"),
        pytest.param("libx264", "yuv420p", 1, 2, id="full range"),
        pytest.param("libx264", "yuv420p10le", 1, 1, id="10 bit"),
        pytest.param("mjpeg", "yuvj420p", 0, 2, id="camera"),
        pytest.param("libx264", "yuv420p", 0, 0, id="untagged"),
    ],
)
def test_a_copy_keeps_the_colours(codec: str, pixels: str, space: int, spread: int, tmp_path: Path) -> None:
    source, target = tmp_path / "clip.mov", tmp_path / "copy.mp4"
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[:, :160], picture[:, 160:] = (200, 40, 30), (30, 180, 220)
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = space, spread
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(
            stream.encode(
                frame.reformat(format=pixels, dst_colorspace=space or None, dst_color_range=spread or None)
            )
        )
        container.mux(stream.encode(None))
    assert copy(source, target).state == "made"
    original = read_clip(source, None, Sampling(1), 64).frames.astype(int)
    small = read_clip(target, None, Sampling(1), 64).frames
    assert abs(original - small)[..., :20].max() <= 3
    assert abs(original - small)[..., -20:].max() <= 3


def test_a_second_run_keeps_finished_copies_and_makes_the_rest(tmp_path: Path) -> None:
    sources = [make(tmp_path / f"{n}.mp4", frames=10 + n) for n in range(3)]
    jobs = [(source, tmp_path / "small" / source.name) for source in sources]
    advanced: list[int] = []
    assert [done.state for done in compress(jobs[:2], Recipe(), 2, advanced.append)] == ["made", "made"]
    before = jobs[0][1].read_bytes()
    assert [done.state for done in compress(jobs, Recipe(), 2, advanced.append)] == ["kept", "kept", "made"]
    assert jobs[0][1].read_bytes() == before
    assert sum(advanced) == 5


def test_the_originals_key_frames_are_not_forced_on_the_copy(tmp_path: Path) -> None:
    sizes = []
    for gop in (1, 250):
        source = make(tmp_path / f"{gop}.mp4", frames=250, gop=gop, b_frames=0, size=(320, 240))
        assert copy(source, tmp_path / "copy.mp4").state == "made"
        sizes.append((tmp_path / "copy.mp4").stat().st_size)
    assert max(sizes) < 1.2 * min(sizes)


def test_another_source_or_recipe_makes_the_copy_anew(tmp_path: Path) -> None:
    source, target = make(tmp_path / "clip.mp4", frames=10), tmp_path / "copy.mp4"
    assert copy(source, target).state == "made"
    assert copy(source, target, Recipe(side=64)).state == "made"
    assert min(probe(target).width, probe(target).height) == 64
    make(source, frames=60)
    assert copy(source, target, Recipe(side=64)).state == "made"
    assert copy(source, target, Recipe(side=64)).state == "kept"


def test_a_broken_copy_is_made_anew(tmp_path: Path) -> None:
    source, target = make(tmp_path / "clip.mp4", frames=10), tmp_path / "copy.mp4"
    copy(source, target)
    target.write_bytes(target.read_bytes()[:500])
    assert copy(source, target).state == "made"
    assert copy(source, target).state == "kept"


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda content: b"", "zero bytes"),
        (lambda content: content[: len(content) * 6 // 10], ""),
        (lambda content: content[:3000] + b"\xff" * 400 + content[3400:], ""),
    ],
    ids=["empty", "cut short", "overwritten"],
)
def test_a_damaged_video_fails_with_its_cause_and_leaves_no_copy(
    damage: Any, cause: str, tmp_path: Path
) -> None:
    source = make(tmp_path / "clip.mp4", frames=100, mux={"movflags": "faststart"})
    source.write_bytes(damage(source.read_bytes()))
    sound = make(tmp_path / "sound.mp4", frames=10)
    folder = tmp_path / "small"
    jobs = [(source, folder / "clip.mp4"), (sound, folder / "sound.mp4")]
    failed, made = compress(jobs, Recipe(), 2, lambda count: None)
    assert (failed.state, made.state) == ("failed", "made")
    assert failed.cause
    assert cause in failed.cause
    assert [path.name for path in folder.iterdir()] == ["sound.mp4"]


def test_a_wrong_time_stamp_does_not_fill_the_disk(tmp_path: Path) -> None:
    source = make(tmp_path / "jump.mkv", frames=4, times=[0, 40, 80, 10**9])
    outcome = copy(source, tmp_path / "copy.mp4")
    assert outcome.state == "failed"
    assert "time stamps jump" in str(outcome.cause)


def test_a_target_that_cannot_be_written_is_a_failure_and_not_a_crash(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", frames=5)
    (tmp_path / "file").write_text("in the way")
    assert copy(source, tmp_path / "file" / "copy.mp4").state == "failed"


def test_what_a_killed_run_left_is_cleared_away_later(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", frames=5)
    old, fresh = tmp_path / ".old.mp4.tmp", tmp_path / ".fresh.mp4.tmp"
    old.write_text("left over")
    fresh.write_text("another run is at it")
    os.utime(old, (time.time() - 90000,) * 2)
    copy(source, tmp_path / "copy.mp4")
    assert not old.exists()
    assert fresh.exists()


def command(source: Path, target: Path, *more: str) -> list[str]:
    name = [sys.executable, "-m", "xbench", "datasets", "compress", "didemo"]
    return [*name, "--videos", str(source), "--to", str(target), *more]


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    videos, small = tmp_path / "videos", tmp_path / "small"
    videos.mkdir()
    for number in range(6):
        make(videos / f"{number}.mp4", frames=250, size=(192, 128))
    process = subprocess.Popen(command(videos, small, "--workers", "1"), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not list(small.glob("*.mp4")) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = sorted(small.glob("*.mp4"))
    assert finished
    assert copy(videos / "0.mp4", tmp_path / "whole.mp4").state == "made"
    whole = len(read_clip(tmp_path / "whole.mp4", None, EVERY, 32).source)
    assert all(len(read_clip(path, None, EVERY, 32).source) == whole for path in finished)
    done = subprocess.run(command(videos, small), capture_output=True, text=True, check=True)
    assert f"{6 - len(finished)} made, {len(finished)} kept, 0 failed" in done.stdout
    assert len(list(small.glob("*.mp4"))) == 6


def test_a_video_that_lost_its_first_key_frame_gets_no_copy(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole.mp4", frames=100, gop=25)
    headless = tmp_path / "headless.mp4"
    with av.open(str(whole)) as source, av.open(str(headless), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[1:-1]:
            packet.stream = stream
            target.mux(packet)
    (outcome,) = compress([(headless, tmp_path / "copy.mp4")], Recipe(side=64), 1, lambda done: None)
    assert (outcome.state, outcome.cause) == ("failed", "its first key frame is gone")
