"""The benchmark harness: what it calls too slow, what it prints, and that the rivals compute the same."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import baseline
from benchmarks.__main__ import check
from benchmarks.extractor import extract
from benchmarks.figure import Figure
from benchmarks.memory import watched
from benchmarks.ranking import published_ranks
from benchmarks.streaming import Task, measure
from benchmarks.table import render
from xbench.metrics.ranking import t2v_counts
from xbench.video.choice import Sampling
from xbench.video.decode import normalise, read_clip


def figure(name: str, ratio: float, *, steady: bool = True) -> Figure:
    return Figure("part", name, 2.0, "rival", 2.0 * ratio, wanted=3.0, steady=steady, note="a note")


def test_a_figure_is_too_slow_under_half_of_its_recorded_ratio_or_when_it_is_gone() -> None:
    ratios = {figure("a", 1).key: 4.0, figure("b", 1).key: 4.0, figure("c", 1).key: 4.0}
    assert baseline.too_slow([figure("a", 2.0), figure("b", 1.9)], ratios) == {
        "part: b / rival",
        "part: c / rival",
    }


@pytest.mark.parametrize(("ratios", "code"), [([1.0, 1.0, 1.0], 1), ([1.0, 1.0, 4.0], 0), ([4.0], 0)])
def test_the_check_fails_only_when_every_try_is_too_slow(
    ratios: list[float], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tries = iter(ratios)
    monkeypatch.setattr(baseline, "BASELINE", tmp_path / "baseline.json")
    baseline.record([figure("a", 4.0), figure("unsteady", 9.0, steady=False)])
    monkeypatch.setattr("benchmarks.__main__.measure", lambda parts, small: [figure("a", next(tries))])
    assert check() == code
    assert next(tries, None) is None


def test_recording_some_parts_keeps_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(baseline, "BASELINE", tmp_path / "baseline.json")
    baseline.record([figure("gone", 1.0), Figure("other", "b", 1.0, "rival", 5.0)])
    baseline.record([figure("a", 4.0)])
    assert baseline.recorded() == {"other: b / rival": 5.0, "part: a / rival": 4.0}


def test_the_recorded_baseline_holds_ratios_of_steady_figures() -> None:
    assert baseline.recorded()
    assert all(ratio > 0 for ratio in baseline.recorded().values())


def test_the_table_shows_both_sides_the_ratio_and_the_note() -> None:
    shown = render([figure("thing", 4.0)])
    for part in ("part: thing", "rival", "4.00", "3.00", "a note"):
        assert part in shown


def test_the_published_sort_gives_the_same_ranks() -> None:
    scores = np.random.default_rng(0).permutation(400).reshape(20, 20).astype(np.float32)
    assert published_ranks(scores).tolist() == t2v_counts(scores, np.arange(20)).better.tolist()


def test_the_published_extractor_gives_the_same_pixels(fixtures: Path) -> None:
    clip = fixtures / "video" / "a_320x240_25fps.mp4"
    import torch

    taken = torch.from_numpy(read_clip(clip, None, Sampling(64), 64).frames)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    assert torch.equal(extract(clip, 64), normalise(taken, mean, std))


def test_memory_that_is_taken_while_watching_is_seen() -> None:
    with watched() as peak:
        before = peak.gb
        held = np.ones(30_000_000)
    assert peak.gb - before > 0.2
    assert len(held)


@pytest.mark.parametrize("kind", ["coarse", "vectors"])
def test_streamed_ranks_are_measured(kind: str, tmp_path: Path) -> None:
    seen = measure(Task(kind, 40, 20, captions=2), tmp_path)
    assert seen["seconds"] > 0
    assert seen["peak"] >= seen["before"] > 0
