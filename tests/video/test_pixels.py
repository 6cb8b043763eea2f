"""Both pixel rules, held against what each OpenCV was seen to make of the same clips.

What was seen is kept by tools/opencv_pixels.py.
"""

import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import make

from xbench.terms import PixelRule
from xbench.video.choice import PIXELS_MAY_DIFFER, Sampling
from xbench.video.decode import Taken, read_clip

ALL = Sampling(max_frames=10_000)
FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "video" / "pixels"
SEEN: dict[str, dict[str, Any]] = json.loads((FOLDER / "opencv.json").read_text())
OLD = sorted(version for version in SEEN if version.startswith("4"))
NEW = "5.0.0"
INTERLACED = {
    "dv.avi",
    "interlaced.mp4",
    "interlaced-bt709.mp4",
    "interlaced-mpeg2.mkv",
    "interlaced-mpeg4.avi",
}
"""OpenCV 5 gives broken pictures of them."""
PLAIN = {"untagged.mp4", "prores.mov"}
SLOW = {"bt2020.mp4", "hlg.mov", "pq.mp4"}
"""FFmpeg builds a table of the whole gamut for each."""


def read(name: str, folder: Path, rule: PixelRule) -> Taken:
    path = FOLDER / name
    if not path.exists():
        path = folder / name
        path.write_bytes(lzma.decompress((FOLDER / f"{name}.xz").read_bytes()))
    return read_clip(path, None, ALL, None, rule)


def sha256(frames: np.ndarray) -> str:
    return hashlib.sha256(frames.tobytes()).hexdigest()


def test_the_versions_that_the_documents_speak_of_were_tried() -> None:
    assert OLD == ["4.10.0", "4.11.0", "4.12.0", "4.8.1"]
    assert NEW in SEEN


@pytest.mark.parametrize("name", SEEN["4.12.0"])
def test_published_pixels_are_those_of_opencv_4(name: str, tmp_path: Path) -> None:
    clip = read(name, tmp_path, "published")
    assert {sha256(clip.frames)} == {SEEN[version][name]["sha256"] for version in OLD}
    assert clip.pixels_differ == (name not in PLAIN)
    assert clip.notes == ()


@pytest.mark.parametrize("name", sorted(SEEN[NEW].keys() - INTERLACED - SLOW))
def test_tagged_pixels_are_those_of_opencv_5(name: str, tmp_path: Path) -> None:
    clip = read(name, tmp_path, "tagged")
    assert sha256(clip.frames) == SEEN[NEW][name]["sha256"]
    assert clip.pixels_differ == (name not in PLAIN)


@pytest.mark.parametrize("name", sorted(INTERLACED))
def test_tagged_pixels_of_interlaced_frames_are_a_picture(name: str, tmp_path: Path) -> None:
    frames = read(name, tmp_path, "tagged").frames.astype(int)
    published = read(name, tmp_path, "published").frames
    assert 0 < np.abs(frames - published).mean() < 20


def test_the_cases_measured_elsewhere_are_equal_too(shared: Path) -> None:
    folder = shared / "cases" / "video"
    values = json.loads((folder / "values.json").read_text())
    whole = ("tag_", "hdr_", "interlaced_", "whole_", "audio_", "vfr_")
    names = [name for name in values if name.startswith(whole)]
    assert len(names) >= 10
    for name in names:
        clip = read_clip(folder / name, None, ALL, None)
        assert sha256(clip.frames).startswith(values[name]["opencv_4.12"]["sha256_rgb"]), name


@pytest.mark.parametrize(
    ("codec", "size", "told"), [("libx264", (96, 60), True), ("libx264", (96, 64), False)]
)
def test_deep_pictures_that_opencv_4_reads_past_are_noted(
    codec: str, size: tuple[int, int], told: bool, tmp_path: Path
) -> None:
    path = make(tmp_path / "deep.mp4", codec=codec, size=size, pixels="yuv420p10le", frames=30)
    assert read_clip(path, None, ALL, None).notes == ((PIXELS_MAY_DIFFER,) if told else ())
    assert read_clip(path, None, ALL, None, "tagged").notes == ()


def test_a_bottom_up_picture_stays_upright(tmp_path: Path) -> None:
    path = make(tmp_path / "raw.avi", codec="rawvideo", pixels="bgr24", frames=1, b_frames=0)
    published, tagged = (read_clip(path, None, ALL, None, rule).frames for rule in ("published", "tagged"))
    assert np.array_equal(published, tagged)
