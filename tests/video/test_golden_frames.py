"""The frames of the golden clips, to the frame and the last bit of the normalised tensor."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xbench.video.choice import Sampling
from xbench.video.decode import UnreadableVideo, normalise, read_clip

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
ALL = Sampling(max_frames=10_000)
FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "video"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text())
WINDOWS = [(name, window) for name, entry in GOLDEN.items() for window in entry["windows"]]


def sha256(frames: np.ndarray) -> str:
    tensor = normalise(torch.from_numpy(frames), MEAN, STD)
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("size", [64, 224])
def test_the_tensor_of_a_clip_is_bit_equal_to_the_published_one(name: str, size: int) -> None:
    clip = read_clip(FOLDER / name, None, ALL, size)
    assert list(clip.source) == GOLDEN[name]["source"]
    assert sha256(clip.frames) == GOLDEN[name][f"sha256_frames{size}"]
    assert clip.notes == ()


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("max_frames", ["6", "12"])
def test_too_many_frames_are_cut_as_published(name: str, max_frames: str) -> None:
    clip = read_clip(FOLDER / name, None, Sampling(int(max_frames)), 64)
    assert list(clip.source) == GOLDEN[name]["sliced"][max_frames]


@pytest.mark.parametrize(("name", "window"), WINDOWS)
def test_a_window_takes_the_seconds_that_the_published_code_takes(name: str, window: str) -> None:
    expected = GOLDEN[name]["windows"][window]
    start, end = map(int, window.split("-"))
    if not expected["reads"]:
        with pytest.raises(UnreadableVideo, match=f"no frame lies between second {start} and {end}"):
            read_clip(FOLDER / name, (start, end), ALL, 64)
        return
    clip = read_clip(FOLDER / name, (start, end), ALL, 64)
    assert list(clip.source) == expected["reads"]
    assert sha256(clip.frames) == expected["sha256"]


def test_stored_tensors_are_equal_too(shared: Path) -> None:
    for name in GOLDEN:
        stored = np.load(shared / "golden" / "video" / f"{name[0]}.npz")
        clip = read_clip(FOLDER / name, None, Sampling(6), 64)
        tensor = normalise(torch.from_numpy(clip.frames), MEAN, STD).numpy()
        assert np.array_equal(tensor, stored["sliced6"][: len(tensor)])
        assert len(tensor) == stored["mask6"].sum()
