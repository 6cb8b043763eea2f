"""The rendered files: layouts that the adapters read, real H.264, rendered once, checked on reuse."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from xbench.cli import main
from xbench.data.loading import load_split
from xbench.data.split import Split
from xbench.data.video_files import VideoFolder, resolve
from xbench.errors import DataError, UsageError
from xbench.miniature import benchmarks, prepare, render, rendering
from xbench.miniature.benchmarks import MANNERS, Clip, annotation_files, clips, file_names
from xbench.miniature.drawing import frame
from xbench.miniature.rendering import FPS, MiniaturePaths, is_whole, write_clip
from xbench.registry.datasets import benchmark as find_benchmark
from xbench.storage import scratch

ALL = pytest.mark.parametrize("benchmark", MANNERS)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Galleries of one group and two single scenes, to render in no time."""

    def small(benchmark: str) -> list[Clip]:
        return clips(benchmark, groups=1, singles=2)

    monkeypatch.setattr(rendering, "clips", small)


def load(benchmark: str, folder: Path) -> Split:
    for name, content in annotation_files(benchmark, clips(benchmark)).items():
        (folder / name).write_bytes(content)
    return load_split(benchmark, folder)


@ALL
def test_the_adapter_of_the_benchmark_reads_every_caption_as_it_was_told(benchmark, tmp_path):
    split = load(benchmark, tmp_path)
    told = clips(benchmark)
    assert len(split.videos) == len(told)
    captions: dict[str, list[str]] = {video.id: [] for video in split.videos}
    for caption in split.captions:
        captions[split.videos[caption.video].id].append(caption.text)
    for name, clip in zip(file_names(benchmark, told), told, strict=True):
        stem = name.rpartition(".")[0]
        video = next(each for each in (name, stem, stem.removeprefix("v_")) if each in captions)
        texts = [" ".join(clip.sentences)] if MANNERS[benchmark].style.long else list(clip.sentences)
        assert [" ".join(text.split()) for text in captions[video]] == texts


@ALL
def test_the_miniature_is_never_taken_for_the_published_protocol(benchmark, tmp_path):
    published = find_benchmark(benchmark)
    protocol = published.protocols[published.default_protocol]
    assert protocol.sha256 is not None
    assert load(benchmark, tmp_path).fingerprint().ids != protocol.sha256.ids


def test_didemo_reads_the_same_in_the_order_of_time(tmp_path):
    split = load("didemo", tmp_path)
    temporal = load_split("didemo", tmp_path, "didemo/paragraph-temporal")
    assert [caption.text for caption in temporal.captions] == [caption.text for caption in split.captions]


@ALL
def test_every_video_of_the_split_is_found(benchmark, tmp_path):
    split = load(benchmark, tmp_path)
    for name in file_names(benchmark, clips(benchmark)):
        (tmp_path / name).touch()
    assert not resolve(split, VideoFolder.index(tmp_path)).missing


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mov", ".m4v"])
def test_a_clip_is_h264_and_shows_what_was_drawn(ending, tmp_path):
    scene = clips("msrvtt")[0].scene
    write_clip(tmp_path / f"clip{ending}", scene)
    with av.open(str(tmp_path / f"clip{ending}")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == FPS
        decoded = [picture.to_ndarray(format="yuv420p") for picture in container.decode(stream)]
    assert len(decoded) == scene.seconds * FPS
    for number, picture in enumerate(decoded):
        drawn = frame(scene, number / FPS).astype(int)
        assert np.abs(picture.astype(int) - drawn).mean() < 2


def test_a_clip_has_the_same_bytes_each_time(tmp_path):
    scene = clips("lsmdc")[0].scene
    for name in ("one.mp4", "two.mp4"):
        write_clip(tmp_path / name, scene)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.usefixtures("few")
class TestRenderingOnce:
    def test_a_rendering_is_used_again(self, tmp_path):
        first = prepare("didemo", tmp_path)
        before = {path: path.stat().st_mtime_ns for path in first.videos.iterdir()}
        assert len(before) == 6
        assert prepare("didemo", tmp_path) == first
        assert before == {path: path.stat().st_mtime_ns for path in first.videos.iterdir()}

    @pytest.mark.parametrize("damage", ["cut", "removed", "added", "edited"])
    def test_a_damaged_rendering_is_replaced(self, damage, tmp_path):
        paths = prepare("msvd", tmp_path)
        victim = sorted(paths.videos.iterdir())[1]
        content = victim.read_bytes()
        if damage == "cut":
            victim.write_bytes(content[:-100])
        elif damage == "removed":
            victim.unlink()
        elif damage == "added":
            (paths.annotations / "extra.txt").write_text("no")
        else:
            (paths.annotations / "test_list.txt").write_text("mini0000000_0_6\n")
        assert not is_whole(paths.videos.parent)
        prepare("msvd", tmp_path)
        assert is_whole(paths.videos.parent)
        assert victim.read_bytes() == content
        assert [path.name for path in (tmp_path / "miniature").iterdir()] == [paths.videos.parent.name]

    def test_a_rendering_that_is_stopped_leaves_nothing_that_looks_whole(self, tmp_path):
        @contextmanager
        def stopped(title, total, unit):
            def advance(count):
                raise KeyboardInterrupt

            yield advance

        with pytest.raises(KeyboardInterrupt):
            prepare("lsmdc", tmp_path, stopped)
        assert not list((tmp_path / "miniature").iterdir())
        assert is_whole(prepare("lsmdc", tmp_path).videos.parent)

    def test_what_a_killed_run_left_is_removed_and_a_running_one_is_left_alone(self, tmp_path):
        with scratch() as own:
            names = [f".{own.name}", f".{own.name}".replace(f".{os.getpid()}.", ".999999999.")]
        running, killed = (tmp_path / "miniature" / name for name in names)
        for folder in (running, killed):
            (folder / "fresh").mkdir(parents=True)
        prepare("msvd", tmp_path)
        assert not killed.exists()
        assert running.exists()

    def test_runs_at_once_end_with_one_whole_rendering(self, tmp_path):
        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda _: prepare("msrvtt", tmp_path), range(3)))
        assert len(set(results)) == 1
        assert is_whole(results[0].videos.parent)
        assert len(list((tmp_path / "miniature").iterdir())) == 1

    def test_the_command_writes_what_the_adapters_read_below_xbench_data(self, tmp_path):
        outcome = CliRunner().invoke(main, ["miniature", str(tmp_path / "out"), "--dataset", "didemo"])
        assert outcome.exit_code == 0, outcome.output
        folder = tmp_path / "out" / find_benchmark("didemo").annotations
        split = load_split("didemo", folder)
        assert not resolve(
            split, VideoFolder.index(tmp_path / "out" / find_benchmark("didemo").videos)
        ).missing
        assert len(split.videos) == 6

    def test_the_command_writes_over_nothing(self, tmp_path):
        (tmp_path / "MSVD").mkdir()
        outcome = CliRunner().invoke(main, ["miniature", str(tmp_path)])
        assert outcome.exit_code == UsageError.exit_code
        assert str(tmp_path / "MSVD") in outcome.output
        assert [path.name for path in tmp_path.iterdir()] == ["MSVD"]


def test_an_unknown_benchmark_is_named(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'didemo'"):
        prepare("didmo", tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "miniature").write_text("in the way")
    with pytest.raises(DataError, match="Cannot render the miniature into"):
        prepare("didemo", tmp_path)


def test_a_build_without_the_encoder_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(DataError, match="pip install"):
        write_clip(tmp_path / "clip.mp4", clips("msrvtt")[0].scene)


def test_render_makes_its_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "clips", lambda name: clips(name, groups=0, singles=1))
    render("lsmdc", MiniaturePaths(tmp_path / "a" / "b", tmp_path / "c"))
    assert len(list((tmp_path / "c").iterdir())) == 1
    assert benchmarks.GROUPS * 4 + benchmarks.SINGLES >= 100
