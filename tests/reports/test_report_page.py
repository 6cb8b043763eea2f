"""The report page: its numbers against naive ones, its size, and a headless Chromium that looks at it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_examples import result

from tools.browser import Browser
from xbench.errors import DataError
from xbench.metrics.dsl import dsl_counts
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.reports.page.findings import (
    Material,
    both_directions,
    curves,
    rank_shares,
    require_own_matrix,
    shown_queries,
)
from xbench.reports.page.report import MAX_BYTES, render_report
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery

NASTY = "<script>document.title='owned'</script> & \"quoted\" 'caption'"


def matrix_of(videos: int, captions: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    owner = np.repeat(np.arange(videos), captions)
    similarity = np.random.default_rng(seed).standard_normal((len(owner), videos)).astype(np.float32)
    similarity[np.arange(len(owner)), owner] += 1.5
    return similarity, owner


def run_of(similarity: np.ndarray, owner: np.ndarray, **changes: Any) -> Measurement:
    videos = similarity.shape[1]
    counts = PerQuery.of(
        t2v_counts(similarity, owner),
        v2t_counts(similarity, owner),
        owner,
        [f"caption {i}" for i in range(len(owner))],
        [f"video{i}" for i in range(videos)],
    )
    return Measurement(result(counts, resamples=200, **changes), counts, Path("a.json"))


def material_of(similarity: np.ndarray, owner: np.ndarray) -> Material:
    jpeg = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
    return Material(
        similarity=similarity,
        captions=[f"{NASTY} {i}" for i in range(len(owner))],
        video_ids=[f"<b>video{i}</b>" for i in range(similarity.shape[1])],
        thumbnails=dict.fromkeys(range(similarity.shape[1]), jpeg),
    )


@pytest.mark.parametrize("captions", [1, 4])
def test_the_curve_is_recall_at_each_k_inside_its_band(captions: int) -> None:
    run = run_of(*matrix_of(50, captions))
    for line, counts in zip(curves(run), (run.counts.t2v, run.counts.v2t), strict=True):
        for k, y, low, high in zip(line.x, line.y, line.low, line.high, strict=True):
            assert y == pytest.approx(100 * (counts.better < k).mean())
            assert low - 1e-9 <= y <= high + 1e-9
        assert (line.x[0], line.x[-1], line.y[-1]) == (1, 50, 100)


def test_rank_shares_add_up_and_fall_into_their_bins() -> None:
    run = run_of(*matrix_of(120))
    labels, series = rank_shares(run)
    assert labels[:4] == ["1", "2-3", "4-5", "6-10"]
    ranks = run.counts.t2v.better + 1
    for name, shares in series:
        assert sum(shares) == pytest.approx(100)
        assert name in ("t2v", "v2t")
    assert series[0][1][0] == pytest.approx(100 * (ranks == 1).mean())
    assert series[0][1][2] == pytest.approx(100 * ((ranks >= 4) & (ranks <= 5)).mean())


def test_a_tie_for_the_first_rank_is_not_rank_1() -> None:
    similarity = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]], dtype=np.float32)
    labels, series = rank_shares(run_of(similarity, np.arange(3)))
    assert dict(zip(labels, series[0][1], strict=True))["1"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("captions", [1, 3])
def test_both_directions_count_every_video_once(captions: int) -> None:
    run = run_of(*matrix_of(60, captions))
    labels, cells = both_directions(run)
    assert np.sum(cells) == pytest.approx(100)
    t2v = np.median((run.counts.t2v.better + 1).reshape(60, captions), axis=1)
    v2t = run.counts.v2t.better + 1
    assert cells[0][0] == pytest.approx(100 * ((t2v < 1.5) & (v2t == 1)).mean())
    assert labels[0] == "1"


def test_worst_queries_are_the_highest_ranks_with_the_best_wrong_videos() -> None:
    similarity, owner = matrix_of(60)
    worst, random = shown_queries(run_of(similarity, owner), similarity)
    ranks = (similarity > similarity[np.arange(60), owner][:, None]).sum(axis=1) + 1
    assert [query.rank for query in worst] == sorted(ranks.tolist(), reverse=True)[:20]
    assert len({query.index for query in random}) == 20
    for query in [*worst, *random]:
        row = similarity[query.index].copy()
        row[query.video] = -np.inf
        assert [video for video, _ in query.wrong] == np.argsort(-row)[:5].tolist()
        assert query.score == similarity[query.index, query.video]


def test_after_dual_softmax_right_and_wrong_videos_are_scored_alike() -> None:
    similarity, owner = matrix_of(60)
    names = [f"video{i}" for i in owner]
    counts = PerQuery.of(*dsl_counts(similarity, owner), owner, names, names)
    reasons = ["post-processing (dsl) looked at the whole test set"]
    record = result(counts, post_processing="dsl", not_comparable_because=reasons)
    run = Measurement(record, counts, Path("dsl.json"))
    softmax = np.exp(similarity.astype(np.float64)) / np.exp(similarity.astype(np.float64)).sum(axis=0)
    processed = similarity * softmax
    for query in [each for shown in shown_queries(run, similarity) for each in shown]:
        better = sum(score > query.score for _, score in query.wrong)
        assert better == min(query.rank - 1, 5)
        assert [score for _, score in query.wrong] == pytest.approx(
            [processed[query.index, video] for video, _ in query.wrong]
        )
    assert "before post-processing (dsl)" in render_report(run, Material(similarity=similarity))


def test_small_sets_show_what_they_have() -> None:
    similarity, owner = matrix_of(3)
    worst, random = shown_queries(run_of(similarity, owner), similarity)
    assert len(worst) == len(random) == 3
    assert all(len(query.wrong) == 2 for query in worst)
    assert render_report(run_of(similarity, owner), Material(similarity=similarity))


def test_queries_without_a_finite_score_are_not_shown_as_found() -> None:
    similarity, owner = matrix_of(30)
    similarity[:, 4] = np.nan
    reasons = ["ties and NaN were counted as the published code does, faults included"]
    from xbench.terms import Ties

    run = run_of(similarity, owner, policy=Ties.REFERENCE, not_comparable_because=reasons)
    worst, random = shown_queries(run, similarity)
    assert 4 not in {query.index for query in [*worst, *random]}
    assert "vanished from the denominator" in " ".join(render_report(run, Material()).split())


def test_another_matrix_is_refused() -> None:
    similarity, owner = matrix_of(30)
    run = run_of(similarity, owner)
    require_own_matrix(run, similarity)
    with pytest.raises(DataError, match=r"not the one that a\.json was made from"):
        render_report(run, Material(similarity=matrix_of(30, seed=1)[0]))
    with pytest.raises(DataError, match=r"has shape \(30, 29\)"):
        render_report(run, Material(similarity=similarity[:, :29]))


def test_a_post_processed_run_is_checked_against_its_own_ranks() -> None:
    similarity, owner = matrix_of(30)
    t2v, v2t = dsl_counts(similarity, owner)
    plain = run_of(similarity, owner).per_query
    counts = PerQuery(t2v, v2t, owner, plain.caption_keys, plain.video_keys)
    reasons = ["post-processing (dsl) looked at the whole test set"]
    record = result(counts, post_processing="dsl", not_comparable_because=reasons)
    require_own_matrix(Measurement(record, counts, Path("a.json")), similarity)


def test_without_material_the_page_says_how_to_get_it() -> None:
    page = render_report(
        run_of(*matrix_of(40)), Material(missing=("The captions are not at hand: give --annotations DIR.",))
    )
    assert "--save-similarity FILE.npy" in page
    assert "give --annotations DIR" in page
    assert "caption 7" in page or "caption 8" in page


def test_the_page_stays_under_5_mb_whatever_the_pictures() -> None:
    similarity, owner = matrix_of(300)
    large = Material(
        similarity=similarity,
        captions=["a paragraph " * 300] * 300,
        video_ids=[f"video{i}" for i in range(300)],
        thumbnails={video: bytes(40_000) for video in range(300)},
    )
    page = render_report(run_of(similarity, owner), large)
    assert len(page.encode()) < MAX_BYTES
    assert page.count("background-image") == 3_000_000 // 40_000


@pytest.mark.parametrize("captions", [1, 3])
def test_it_loads_nothing_reports_nothing_and_shows_everything(browser: Browser, captions: int) -> None:
    similarity, owner = matrix_of(80, captions)
    page = render_report(run_of(similarity, owner), material_of(similarity, owner))
    script = """
      const count = (selector) => document.querySelectorAll(selector).length;
      return { charts: count("svg.chart"), queries: count("article.query"), pictures: count(".thumb"),
        heat: document.querySelector(".heat img").naturalWidth, hubs: count("table:not(.metrics) tbody tr"),
        title: document.title, scripts: count("body script"), first: document.querySelector("h3").textContent,
        anchors: [...document.querySelectorAll("nav a")].every((a) => document.querySelector(a.hash)) };
    """
    outcome = browser.run(page, script)
    assert outcome.problems == []
    assert [name for name in outcome.loaded if not name.startswith("data:")] == []
    found = outcome.answer
    assert (found["charts"], found["queries"], found["pictures"]) == (4, 40, 240)
    assert (found["heat"], found["hubs"], found["anchors"]) == (80, 10, True)
    assert found["scripts"] == 1  # the test's own
    assert "owned" not in found["title"]
    assert found["first"].startswith(NASTY)


def test_on_a_phone_nothing_is_cut_off(browser: Browser, tmp_path: Path) -> None:
    similarity, owner = matrix_of(80)
    page = render_report(run_of(similarity, owner), material_of(similarity, owner))
    width, window = browser.run(
        page, "return [document.documentElement.scrollWidth, window.innerWidth];", width=500
    ).answer
    assert width <= window
    browser.picture(page, tmp_path / "dark.png", width=390, height=844, dark=True)
    assert (tmp_path / "dark.png").stat().st_size > 10_000
