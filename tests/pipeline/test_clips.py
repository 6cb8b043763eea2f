"""Scorers that take clips: what they are handed, what of it is in keys and records, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import xbench
from tests.pipeline.conftest import STEMS, World, write_video
from tests.video.made_clips import make
from xbench.cli import main
from xbench.data.split import Video
from xbench.engine.store import Store, stored
from xbench.errors import DataError, ModelError, UsageError
from xbench.pipeline.features import KeptFrames, VideoJob, described_input, encode_videos, video_key
from xbench.pipeline.record import computing_threads
from xbench.pipeline.worker import ModelOrder, Worker, write_order
from xbench.sampling import FrameRule, Windows
from xbench.scorers.base import Clip, VideoInput
from xbench.scorers.catalog import ModelRequest
from xbench.scorers.declared import faults
from xbench.scorers.verify import verify
from xbench.video.choice import Sampling
from xbench.video.decode import read_clip
from xbench.video.identity import file_state

CODE = '''
import torch
from xbench.scorers.base import VideoInput


class Seeing:
    """Tells colour, time and length of each clip apart, and keeps what it was handed."""

    name = "seeing"
    block = (64, 64)

    def __init__(self, **more):
        self.video_input = VideoInput(clips=True, **more)
        self.identity = {"scorer": "seeing"}
        self.settings = {"kind": "test"}
        self.seen = {}

    def encode_texts(self, texts):
        return {"x": torch.tensor([[len(text) % 7, text.count("a"), 1.0, 1.0] for text in texts])}

    def encode_clips(self, clips):
        self.seen |= {clip.id: clip for clip in clips}
        return {"x": torch.stack([self.vector(clip) for clip in clips])}

    def vector(self, clip):
        colour = clip.frames.double().mean() if clip.frames.numel() else torch.zeros(())
        size = clip.path.stat().st_size % 97
        parts = [colour, clip.times.sum(), torch.tensor(float(len(clip.frames))), torch.tensor(float(size))]
        return torch.stack([part.double() for part in parts]).float()

    def similarity(self, text, video):
        return text["x"] @ video["x"].T
'''


def seeing(**more: Any) -> Any:
    names: dict[str, Any] = {}
    exec(CODE, names)
    return names["Seeing"](**more)


def run(world: World, scorer: Any, **more: Any) -> dict[str, Clip]:
    asked = {"annotations": world.annotations, "videos": world.videos, "cache_dir": world.cache} | more
    result = xbench.run(scorer, "didemo", **asked)
    scorer.result = result
    seen: dict[str, Clip] = scorer.seen
    return seen


KINDS: dict[str, dict[str, Any]] = {
    "as the tensors were": {"size": 32, "max_frames": 4},
    "every frame": {"max_frames": None, "sampling": "every=0.01", "size": 16},
    "own size": {"size": None, "as_uint8": True},
    "own ratio": {"size": 24, "crop": "whole"},
    "three crops": {"size": 24, "crop": "three"},
    "windows": {"size": 16, "sampling": "uniform+windows=2", "max_frames": 3},
    "the file alone": {"sampling": "none"},
    "own transform": {"frame_transform": lambda frame: torch.from_numpy(frame).float().permute(2, 0, 1)},
    "a rule as an object": {
        "sampling": FrameRule("fps", 2, repeat_last=True, windows=Windows(2)),
        "size": 16,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_of_any_kind_of_clip_runs_and_keeps_the_contract(kind: str, world: World) -> None:
    scorer = seeing(**KINDS[kind])
    assert [check for check in verify(scorer) if not check.passed] == []
    scorer.seen.clear()
    seen = run(world, scorer)
    assert {name.split("_")[0] for name in seen} == {stem.split("_")[0] for stem in STEMS}
    assert all(clip.path.is_file() and clip.fps == 5 for clip in seen.values())


def test_a_clip_has_the_frames_and_times_of_its_file(world: World) -> None:
    clip = next(
        iter(run(world, seeing(size=None, as_uint8=True, max_frames=None, sampling="fps=2")).values())
    )
    assert clip.frames.dtype == torch.uint8
    assert clip.frames.shape == (6, 3, 48, 64)
    assert clip.times.dtype == torch.float64
    assert torch.allclose(clip.times, torch.tensor([0, 0.4, 1, 1.4, 2, 2.4], dtype=torch.float64))
    expected = read_clip(clip.path, clip.window, Sampling(None, "fps=2"), None).frames
    assert np.array_equal(clip.frames.permute(0, 2, 3, 1).numpy(), expected)
    assert clip.view.tolist() == [0] * 6


def test_clips_differ_in_length(world: World) -> None:
    write_video(world.videos / "somewhere" / STEMS[0], 7, seconds=6)
    seen = run(world, seeing(max_frames=None, sampling="fps=5", size=16))
    assert sorted({len(clip.frames) for clip in seen.values()}) == [15, 30]


def test_squares_of_a_wide_frame_are_its_ends_and_its_middle(world: World) -> None:
    clip = next(iter(run(world, seeing(size=24, crop="three", as_uint8=True, max_frames=2)).values()))
    assert clip.frames.shape == (6, 3, 24, 24)
    assert clip.view.tolist() == [0, 0, 1, 1, 2, 2]
    picture = Image.fromarray(read_clip(clip.path, clip.window, Sampling(2), None).frames[0])
    wide = np.asarray(picture.resize((32, 24), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    for view, left in zip(clip.views(), (0, 4, 8), strict=True):
        assert np.array_equal(view.frames[0].numpy(), wide[:, :, left : left + 24])
        assert view.times.tolist() == clip.times[:2].tolist()


def test_each_window_is_a_view_of_its_own_frames(world: World) -> None:
    scorer = seeing(size=16, sampling="fps=1+windows=1s", max_frames=4)
    clip = next(iter(run(world, scorer).values()))
    assert [view.times.tolist() for view in clip.views()] == [[0], [1], [2]]
    assert [view.frames.shape[0] for view in clip.views()] == [1, 1, 1]
    halves = run(world, seeing(size=16, sampling="uniform+windows=2", max_frames=2))
    clip = next(iter(halves.values()))
    assert clip.view.tolist() == [0, 0, 1, 1]
    assert clip.views()[0].times.max() < 1.5 <= clip.views()[1].times.min()


def test_sliding_windows_end_with_the_clip(world: World) -> None:
    clip = next(
        iter(run(world, seeing(size=16, sampling="every=0.2+windows=2s/0.5s", max_frames=99)).values())
    )
    spans = [(round(float(view.times[0]), 1), round(float(view.times[-1]), 1)) for view in clip.views()]
    assert spans == [(0.0, 1.8), (0.6, 2.4), (1.0, 2.8)]


def job(world: World, name: str = "a", window: tuple[float, float] | None = None) -> VideoJob:
    path = world.videos / "somewhere" / STEMS[0]
    return VideoJob(Video(name, window), path, "content", file_state(path), "published")


CHANGES: dict[str, Any] = {
    "size": 32,
    "mean": (0, 0, 0),
    "std": (1, 1, 1),
    "max_frames": 3,
    "sampling": "fps=2",
    "crop": "three",
    "as_uint8": True,
    "clips": True,
}


def test_everything_that_shapes_input_is_in_the_key_and_in_the_record(world: World) -> None:
    fields = set(VideoInput.__dataclass_fields__) - {"frame_transform"}  # part of the scorer's identity
    assert fields == set(CHANGES)
    keys = {video_key(job(world), VideoInput())}
    told = [described_input(VideoInput())]
    for name, value in CHANGES.items():
        changed = VideoInput(**{name: value})
        keys.add(video_key(job(world), changed))
        told += [described_input(changed)] if name not in ("size", "mean", "std", "max_frames") else []
    assert len(keys) == 1 + len(CHANGES)
    assert all(each not in told[:at] for at, each in enumerate(told))
    for rule in ("fps=2+repeat-last", "fps=2+windows=2", "fps=2+windows=2s", "fps=2+windows=2s/1s"):
        keys.add(video_key(job(world), VideoInput(sampling=rule)))
    assert len(keys) == 5 + len(CHANGES)


def test_keys_of_what_scorers_always_saw_are_those_of_before(world: World) -> None:
    key = video_key(job(world), VideoInput())
    assert key == video_key(job(world, "another id"), VideoInput(sampling=FrameRule()))
    clips = VideoInput(clips=True)
    assert video_key(job(world), clips) != video_key(job(world, "another id"), clips)


def test_features_of_clips_are_cached_by_content_and_rule(world: World) -> None:
    assert len(run(world, seeing(size=16))) == 6
    assert len(run(world, seeing(size=16))) == 0
    assert len(run(world, seeing(size=16), sampling="fps=2")) == 6
    assert len(run(world, seeing(size=16, crop="whole"))) == 6
    assert [each.videos for each in stored(world.cache)] == [18]


def test_the_record_says_how_clips_were_seen(world: World) -> None:
    scorer = seeing(size=None, as_uint8=True, max_frames=None)
    run(world, scorer, sampling="fps=2+windows=3")
    settings = scorer.result.record.scorer.settings
    assert settings["sampling"] == "fps=2+windows=3"
    assert "size None" in settings["video input"]
    assert "max_frames None" in settings["video input"]
    assert "clips True" in settings["video input"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"size": None, "clips": False}, "size None: .* None is for scorers that take clips"),
        ({"max_frames": None, "clips": False}, "max_frames None: .* None is for scorers that take clips"),
        ({"crop": "three", "clips": False}, "crop 'three', which is for scorers that take clips"),
        ({"crop": "center"}, "crop 'center'. Did you mean 'centre'"),
        ({"crop": "three", "size": None}, "there is no size to crop to"),
        ({"as_uint8": True, "frame_transform": len}, "as_uint8 and a frame_transform"),
        ({"crop": "whole", "frame_transform": len}, "crop 'whole' and a frame_transform"),
        ({"as_uint8": 1}, "as_uint8 1: it is True or False"),
        ({"sampling": "fps=2+windows=3", "clips": False}, r"fps=2\+windows=3 is for scorers that take clips"),
        ({"sampling": "none", "clips": False}, "none is for scorers that take clips"),
        ({"sampling": "uniform", "max_frames": None}, "uniform needs max_frames"),
        ({"sampling": "fps=1+repeat-last", "max_frames": None}, "needs max_frames"),
        ({"sampling": "published+windows=3"}, "the published code knows no windows"),
        ({"sampling": "none+repeat-last"}, "nothing to repeat"),
        ({"sampling": "fps=2+windows=0"}, "from 1 on"),
        ({"sampling": "fps=2+windows=3s/0s"}, "windows of 0.1 to"),
        ({"sampling": "fps=2+windows=x"}, "write windows=3"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_encoded(
    more: dict[str, Any], said: str, world: World
) -> None:
    scorer = seeing()
    scorer.video_input = VideoInput(**{"clips": True, **more})
    scorer.encode_videos = lambda frames, mask: None
    with pytest.raises(ModelError, match=said):
        run(world, scorer)
    assert scorer.seen == {}


def test_what_a_user_asks_of_a_scorer_is_refused_by_the_option(world: World) -> None:
    scorer = seeing(size=16, max_frames=None)
    with pytest.raises(
        UsageError, match="--sampling uniform does not go with seeing: uniform needs max_frames"
    ):
        run(world, scorer, sampling="uniform")


def test_a_scorer_that_has_the_other_encoder_is_told_what_it_lacks(world: World) -> None:
    scorer = seeing()
    scorer.video_input = VideoInput()
    with pytest.raises(ModelError, match=r"lacks encode_videos\(\)"):
        run(world, scorer)
    assert [member for member, _ in faults(seeing())] == []


def test_a_damaged_file_is_told_to_who_opens_it_himself(world: World) -> None:
    damaged = world.videos / "somewhere" / STEMS[1]
    make(damaged.with_suffix(".mkv"), frames=100, gop=10).rename(damaged)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    scorer = seeing(sampling="none")
    with pytest.raises(DataError, match="unreadable or damaged"):
        run(world, scorer)
    assert damaged.stem.split("_")[0] not in {name.split("_")[0] for name in scorer.seen}
    assert len(run(world, scorer, allow_damaged=True)) == len(STEMS)


def test_clips_kept_for_other_candidates_are_those_that_were_decoded(world: World, tmp_path: Path) -> None:
    wants = VideoInput(clips=True, size=None, max_frames=None, sampling="fps=2+windows=2", as_uint8=True)
    (tmp_path / "kept").mkdir()
    seen = []
    for number in range(2):
        scorer = seeing()
        encode_videos(
            scorer,
            Store(tmp_path / str(number), "seeing", {}),
            [job(world)],
            wants=wants,
            use_damaged=False,
            kept=KeptFrames(tmp_path / "kept"),
            workers=1,
            on_done=lambda count: None,
        )
        seen.append(scorer.seen["a"])
    assert len(list((tmp_path / "kept").glob("*.npz"))) == 1
    first, again = seen
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.times, again.times)
    assert torch.equal(first.view, again.view)
    assert (first.fps, first.path, first.window) == (again.fps, again.path, again.window)


def test_a_worker_encodes_clips_and_probes_with_a_file_of_its_own(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(
        tmp_path
    )  # a worker has a process to itself, and sets its folder, threads and gradients
    (tmp_path / "seeing.py").write_text(CODE)
    order = ModelOrder(
        request=ModelRequest(f"{tmp_path / 'seeing.py'}:Seeing", args={"size": 16, "crop": "three"}),
        threads=1,
        sampling=None,
        use_damaged=False,
        decoders=1,
        store=(tmp_path / "store", "seeing", {"scorer": "seeing"}),
        folder=tmp_path,
    )
    path = write_order(tmp_path / "order", order)
    with torch.enable_grad(), computing_threads(1):
        worker, other = Worker(path, "cpu"), Worker(path, "cpu")
        assert worker.probe() == other.probe()


def test_a_file_of_code_gives_clips_through_the_command_line(world: World, tmp_path: Path) -> None:
    (tmp_path / "seeing.py").write_text(CODE)
    model = ["--model", f"{tmp_path / 'seeing.py'}:Seeing", "--model-args", "crop=three"]
    data = ["--dataset", "didemo", "--annotations", str(world.annotations), "--videos", str(world.videos)]
    rest = ["--output", str(world.output), "--cache-dir", str(world.cache), "--json"]
    shown = CliRunner().invoke(main, ["run", *model, *data, *rest, "--sampling", "fps=1"])
    assert shown.exit_code == 0, shown.stderr
    settings = json.loads(shown.stdout)["scorer"]["settings"]
    assert settings["sampling"] == "fps=1"
    assert "crop three" in settings["video input"]


def test_what_fails_in_encode_clips_says_where(world: World, tmp_path: Path) -> None:
    broken = CODE.replace("size = clip.path.stat().st_size % 97", "size = clip.seconds")
    (tmp_path / "seeing.py").write_text(broken)
    model = ["--model", f"{tmp_path / 'seeing.py'}:Seeing", "--no-cache", "--output", str(world.output)]
    data = ["--dataset", "didemo", "--annotations", str(world.annotations), "--videos", str(world.videos)]
    shown = CliRunner().invoke(main, ["run", *model, *data])
    assert shown.exit_code == 4
    assert "encode_clips of seeing failed: AttributeError" in shown.stderr


class Bytes:
    """Takes tensors, as scorers always did, of uint8."""

    name, settings, identity, block = "bytes", {}, None, (64, 64)

    def __init__(self) -> None:
        self.video_input = VideoInput(size=24, max_frames=5, as_uint8=True, sampling="segments=2x2")
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([[float(len(text) % 5), 1.0] for text in texts])}

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append((frames, mask))
        return {"x": torch.stack([frames.float().mean(dim=(1, 2, 3, 4)), mask.sum(dim=1).float()], dim=1)}

    def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
        return text["x"] @ video["x"].T


def test_tensors_may_be_of_uint8_and_are_padded(world: World) -> None:
    scorer = Bytes()
    assert [check for check in verify(scorer) if not check.passed] == []
    scorer.seen.clear()
    asked = {"annotations": world.annotations, "videos": world.videos}
    settings = xbench.run(scorer, "didemo", **asked).record.scorer.settings  # type: ignore[arg-type]
    assert settings["sampling"] == "segments=2x2"
    assert "as_uint8 True" in settings["video input"]
    frames, mask = scorer.seen[0]
    assert (frames.dtype, tuple(frames.shape)) == (torch.uint8, (1, 5, 3, 24, 24))
    assert mask.tolist() == [[True] * 4 + [False]]
    assert frames[0, 4].max() == 0
    assert frames[0, :4].max() > 100


class Reranking:
    """Reranks clips: what it scores is in `rerank` alone."""

    name, settings, identity = "reranking", {}, None

    def __init__(self) -> None:
        self.video_input = VideoInput(clips=True, size=None, max_frames=None, sampling="every=1")

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([[float(len(text) % 5)] for text in texts])}

    def encode_clips(self, clips: list[Clip]) -> dict[str, torch.Tensor]:
        return {"x": torch.stack([clip.frames.mean()[None] for clip in clips])}

    def rerank(self, text: dict[str, torch.Tensor], videos: dict[str, torch.Tensor]) -> torch.Tensor:
        return -(text["x"] - videos["x"]).abs()[:, 0]


def test_a_reranker_takes_clips(world: World) -> None:
    asked = {"annotations": world.annotations, "videos": world.videos, "cache": False}
    result = xbench.run(Reranking(), "didemo", **asked)  # type: ignore[arg-type]
    assert result.record.videos.scored == len(STEMS)
    assert "clips True" in result.record.scorer.settings["video input"]
