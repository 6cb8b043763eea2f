"""An item's features are its own: the same bits whatever else was asked for, missing, or encoded before."""

from pathlib import Path

import pytest
import torch

from tests.pipeline.conftest import write_video, write_vocabulary
from xbench.data.split import Video
from xbench.engine.store import Store
from xbench.pipeline.features import VideoJob, encode_texts, encode_videos
from xbench.pipeline.record import computing_threads
from xbench.scorers.base import Features
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.xclip.load import initial_state, random_clip
from xbench.scorers.xclip.scorer import XClip
from xbench.video.identity import file_state

TEXTS = ["the cat", "a dog runs over the field and back again", "the cat", "someone", "a ball"]
COUNT = 4


@pytest.fixture(scope="module", params=[32, 16], ids=["B/32", "B/16"])
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> XClip:
    """Two layers as wide as ViT-B's: narrower ones give the same bits in any batch."""
    vocabulary = tmp_path_factory.mktemp("words") / "words.txt.gz"
    write_vocabulary(vocabulary)
    tokenizer = ClipTokenizer(vocabulary)
    sizes = ClipSizes(
        embed=512,
        image=224,
        patch=request.param,
        vision_width=768,
        vision_layers=2,
        context=77,
        vocabulary=tokenizer.size,
        text_width=512,
        text_layers=2,
    )
    state = initial_state(random_clip(sizes), words=32, frames=2, layers=2, source="random")
    return XClip(state, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[VideoJob]:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(COUNT):
        write_video(folder / f"{number}.mp4", number, seconds=1 + number % 2)
    paths = [folder / f"{number}.mp4" for number in range(COUNT)]
    return [VideoJob(Video(path.stem), path, path.stem, file_state(path), "published") for path in paths]


def videos(scorer: XClip, store: Store, jobs: list[VideoJob], threads: int = 1) -> dict[str, Features]:
    with computing_threads(threads):
        encoded = encode_videos(
            scorer,
            store,
            jobs,
            wants=scorer.video_input,
            use_damaged=False,
            workers=2,
            on_done=lambda count: None,
        )
    features = {job.video.id: each.features for job, each in zip(jobs, encoded, strict=True)}
    return {name: lodged.load() for name, lodged in features.items() if lodged is not None}


def assert_same(one: dict[str, Features], other: dict[str, Features]) -> None:
    for name in one.keys() & other.keys():
        for part in one[name]:
            assert torch.equal(one[name][part], other[name][part]), (name, part)


def test_videos_are_the_same_cold_resumed_limited_reordered_and_sharded(
    scorer: XClip, jobs: list[VideoJob], tmp_path: Path
) -> None:
    cold = videos(scorer, Store(tmp_path / "cold", "m", {}), jobs)
    assert len(cold) == COUNT
    resumed = Store(tmp_path / "resumed", "m", {})
    assert_same(cold, videos(scorer, resumed, jobs[1:2]))  # a limit, or what a killed run had done
    assert_same(cold, videos(scorer, resumed, jobs))
    assert_same(cold, videos(scorer, Store(tmp_path / "other", "m", {}), jobs[::-1]))
    for workers in (2, 3, 4):
        for worker in range(workers):
            shard = jobs[worker::workers]
            assert_same(cold, videos(scorer, Store(tmp_path / f"{workers}-{worker}", "m", {}), shard))


def test_copies_of_a_video_have_the_same_features_wherever_they_stand(
    scorer: XClip, jobs: list[VideoJob], tmp_path: Path
) -> None:
    copy = VideoJob(Video("copy"), jobs[0].path, "copy", jobs[0].state, "published")
    found = videos(scorer, Store(tmp_path, "m", {}), [*jobs, copy])
    for part, tensor in found["0"].items():
        assert torch.equal(tensor, found["copy"][part])


def test_texts_are_the_same_whatever_the_others_are(scorer: XClip, tmp_path: Path) -> None:
    with computing_threads(1):
        whole = encode_texts(scorer, Store(tmp_path / "whole", "m", {}), TEXTS, lambda count: None)
        parts = Store(tmp_path / "parts", "m", {})
        for chosen in ([3], [4, 0], list(range(len(TEXTS)))):
            some = encode_texts(scorer, parts, [TEXTS[index] for index in chosen], lambda count: None)
            for row, index in enumerate(chosen):
                for part, tensor in some.rows(row, row + 1).items():
                    assert torch.equal(tensor, whole.rows(index, index + 1)[part])


def test_the_number_of_threads_does_not_come_from_the_machine() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with computing_threads(3):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
