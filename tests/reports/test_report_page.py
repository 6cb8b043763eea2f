"""The report page: its numbers against naive ones, its size, and a headless Chromium that looks at it."""

import json
from dataclasses import replace
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
    Query,
    Strip,
    both_directions,
    curves,
    outcomes_of,
    rank_shares,
    require_own_matrix,
    shown_queries,
)
from xbench.reports.page.report import MAX_BYTES, render_report
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery
from xbench.terms import Direction, Ties

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
        strips=dict.fromkeys(range(similarity.shape[1]), Strip(jpeg, (0.0, 1.5, 3.0, 4.5), 12)),
    )


def shown(
    run: Measurement, similarity: np.ndarray, side: Direction = "t2v"
) -> tuple[list[Query], list[Query]]:
    return shown_queries(run, outcomes_of(run, similarity)[side], side)


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


def test_no_bin_of_ranks_is_larger_than_the_gallery() -> None:
    similarity, owner = matrix_of(80)
    similarity[0, 0] = -9.0
    labels, _ = rank_shares(run_of(similarity, owner))
    assert labels[-1] == "51-80"
    assert both_directions(run_of(similarity, owner))[0][-1].endswith("-80")
    assert rank_shares(run_of(*matrix_of(3)))[0][-1] in ("1", "2-3")


def test_worst_queries_are_the_highest_ranks_with_what_was_retrieved_first() -> None:
    similarity, owner = matrix_of(60)
    worst, random = shown(run_of(similarity, owner), similarity)
    ranks = (similarity > similarity[np.arange(60), owner][:, None]).sum(axis=1) + 1
    assert [query.rank for query in worst] == sorted(ranks.tolist(), reverse=True)[:20]
    assert len({query.index for query in random}) == 20
    for query in [*worst, *random]:
        row = similarity[query.index]
        assert [found.item for found in query.first] == np.argsort(-row)[:5].tolist()
        assert [found.score for found in query.first] == sorted(row.tolist(), reverse=True)[:5]
        assert [found.right for found in query.first] == [found.item == query.video for found in query.first]
        assert query.score == row[query.video]


def test_videos_as_queries_retrieve_captions_of_which_all_of_their_own_are_right() -> None:
    similarity, owner = matrix_of(30, captions=3)
    run = run_of(similarity, owner)
    worst, _ = shown(run, similarity, "v2t")
    best = np.array([similarity[owner == video, video].max() for video in range(30)])
    others = np.array(
        [[similarity[owner == other, video].max() for other in range(30)] for video in range(30)]
    )
    ranks = 1 + (others > best[:, None]).sum(axis=1)
    assert [query.rank for query in worst] == sorted(ranks.tolist(), reverse=True)[:20]
    for query in worst:
        column = similarity[:, query.video]
        assert [found.item for found in query.first] == np.argsort(-column)[:5].tolist()
        assert all(found.right == (owner[found.item] == query.video) for found in query.first)
        assert query.score == pytest.approx(best[query.video])


def test_after_dual_softmax_what_is_retrieved_is_scored_as_it_was_ranked() -> None:
    similarity, owner = matrix_of(60)
    names = [f"video{i}" for i in owner]
    counts = PerQuery.of(*dsl_counts(similarity, owner), owner, names, names)
    reasons = ["post-processing (dsl) looked at the whole test set"]
    record = result(counts, post_processing="dsl", not_comparable_because=reasons)
    run = Measurement(record, counts, Path("dsl.json"))
    exact = np.exp(similarity.astype(np.float64))
    processed = {
        "t2v": similarity * exact / exact.sum(axis=0),
        "v2t": (similarity * exact / exact.sum(axis=1, keepdims=True)).T,
    }
    for side, scores in processed.items():
        for query in [each for lists in shown(run, similarity, side) for each in lists]:
            better = sum(found.score > query.score for found in query.first)
            assert better == min(query.rank - 1, 5)
            assert [found.score for found in query.first] == pytest.approx(
                [scores[query.index, found.item] for found in query.first]
            )
    assert "before post-processing (dsl)" in render_report(run, Material(similarity=similarity))


def test_small_sets_show_what_they_have() -> None:
    similarity, owner = matrix_of(3)
    worst, random = shown(run_of(similarity, owner), similarity)
    assert len(worst) == len(random) == 3
    assert all(len(query.first) == 3 for query in worst)
    assert render_report(run_of(similarity, owner), Material(similarity=similarity))


def test_queries_without_a_finite_score_are_not_shown_as_found() -> None:
    similarity, owner = matrix_of(30)
    similarity[:, 4] = np.nan
    reasons = ["ties and NaN were counted as the published code does, faults included"]
    run = run_of(similarity, owner, policy=Ties.REFERENCE, not_comparable_because=reasons)
    worst, random = shown(run, similarity)
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


def test_the_page_stays_under_20_mb_whatever_it_shows() -> None:
    similarity, owner = matrix_of(3000)
    run = run_of(similarity, owner)
    large = Material(
        similarity=similarity,
        captions=["a paragraph " * 300] * 3000,
        video_ids=[f"video{i}" for i in range(3000)],
        strips={video: Strip(bytes(100_000), (0.0,), 1) for video in range(3000)},
    )
    page = render_report(run, large)
    assert len(page.encode()) < MAX_BYTES
    assert page.count("background-image") == 4_000_000 // 100_000
    data = listing(page)
    kept = data["sides"]["t2v"]["queries"]
    assert 1500 < len(kept) < 3000
    assert f"The list holds the {len(kept):,} captions of 3,000 with the highest ranks" in page
    ranks = run.counts.t2v.better + 1
    assert ranks[kept].min() >= np.delete(ranks, kept).max()
    assert [data["captions"][index] is None for index in range(3000)] == [
        i not in set(kept) for i in range(3000)
    ]


def listing(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(page.split('id="queries-data">')[1].split("</script>", maxsplit=1)[0])
    return data


def test_every_query_is_listed_with_its_rank_score_and_what_it_retrieved() -> None:
    similarity, owner = matrix_of(40, captions=2)
    run = run_of(similarity, owner)
    data = listing(render_report(run, material_of(similarity, owner)))
    assert data["owners"] == owner.tolist()
    for side, counts in (("t2v", run.counts.t2v), ("v2t", run.counts.v2t)):
        (column,) = data["sides"][side]["runs"]
        assert column["ranks"] == (counts.better + 1).tolist()
        assert column["scores"] == pytest.approx(counts.right.tolist(), rel=1e-4)
        scores = similarity if side == "t2v" else similarity.T
        assert column["items"] == np.argsort(-scores, axis=1)[:, :5].tolist()
        assert np.array(column["values"]) == pytest.approx(-np.sort(-scores, axis=1)[:, :5], rel=1e-4)


def test_a_caption_cannot_leave_the_data_of_the_page(browser: Browser) -> None:
    similarity, owner = matrix_of(12)
    nasty = "</script><script>document.title='owned'</script>\u2028<!-- <script> \u202e \x00 ]]> &quot;"
    material = Material(similarity=similarity, captions=[f"{nasty} {i}" for i in range(12)])
    page = render_report(run_of(similarity, owner), material)
    script = """
      const texts = [...document.querySelectorAll(".listing .open")].map((button) => button.textContent);
      return [document.title, document.scripts.length, texts.length, texts[0]];
    """
    outcome = browser.run(page, script)
    title, scripts, rows, text = outcome.answer
    assert outcome.problems == []
    assert "owned" not in title
    assert (scripts, rows) == (4, 12)  # the page's two, the test's two
    assert text.startswith("</script><script>document.title='owned'</script>")


def test_it_loads_nothing_reports_nothing_and_shows_everything(browser: Browser) -> None:
    similarity, owner = matrix_of(80, 3)
    page = render_report(run_of(similarity, owner), material_of(similarity, owner))
    script = """
      const count = (selector) => document.querySelectorAll(selector).length;
      const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.tagName[1]));
      const named = [...document.querySelectorAll("input, select")].every((each) => each.labels.length === 1);
      const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
      return { charts: count("svg.chart"), queries: count("article.query"), pictures: count(".strip"),
        heat: document.querySelector(".heat img").naturalWidth, hubs: count("table.hubs tbody tr"),
        title: document.title, first: document.querySelector("h3").textContent, named,
        steps: levels.every((level, index) => !index || level <= levels[index - 1] + 1),
        mute: count("span[aria-label]:not([role]), div[aria-label]:not([role])"),
        once: new Set(ids).size === ids.length, rows: count(".listing tbody tr"),
        said: document.querySelector("output").textContent,
        anchors: [...document.querySelectorAll("nav a")].every((a) => document.querySelector(a.hash)) };
    """
    outcome = browser.run(page, script)
    assert outcome.problems == []
    assert [name for name in outcome.loaded if not name.startswith("data:")] == []
    found = outcome.answer
    assert (found["charts"], found["queries"], found["pictures"]) == (4, 80, 40 * 7)
    assert (found["heat"], found["hubs"], found["anchors"]) == (80, 10, True)
    assert (found["named"], found["steps"], found["once"], found["mute"]) == (True, True, True, 0)
    assert (found["rows"], found["said"]) == (20, "240 of 240 queries")
    assert "owned" not in found["title"]
    assert found["first"].startswith(NASTY)


def test_the_list_is_searched_filtered_sorted_opened_and_sent(browser: Browser) -> None:
    similarity, owner = matrix_of(60, 2)
    run = run_of(similarity, owner)
    captions = [f"a dog {'runs ' * (i % 7)}{i}" for i in range(120)]
    material = Material(similarity=similarity, captions=captions, video_ids=[f"clip{i}" for i in range(60)])
    script = """
      const part = (name) => document.querySelector(`[data-part="${name}"]`);
      const set = (name, value) => {
        part(name).value = value;
        part(name).dispatchEvent(new Event("input"));
      };
      const rows = () => [...document.querySelectorAll(".listing tbody tr")];
      const cells = (index) => rows().map((row) => row.cells[index].textContent);
      const click = (name) => [...document.querySelectorAll(".listing th button")]
        .find((button) => button.textContent === name).click();
      const found = { ranks: cells(0).map(Number) };
      set("filter", "wrong");
      found.wrong = part("count").textContent;
      set("filter", "all");
      click("words");
      found.words = cells(2).map(Number);
      found.sorted = document.querySelector(".listing th[aria-sort]").textContent;
      click("caption");
      found.caption = cells(1)[0];
      const button = document.querySelector(".listing .open");
      button.click();
      found.detail = [...document.querySelectorAll("tr.detail li")].map((item) => item.textContent);
      found.expanded = button.getAttribute("aria-expanded");
      part("more").click();
      found.more = document.querySelectorAll(".listing .open").length;
      set("side", "v2t");
      found.videos = [part("count").textContent, location.hash];
      history.replaceState(null, "", "#queries?search=clip7&side=v2t");
      dispatchEvent(new Event("hashchange"));
      found.sent = [cells(1), part("search").value];
      return found;
    """
    outcome = browser.run(render_report(run, material), script)
    assert outcome.problems == []
    found = outcome.answer
    ranks = run.counts.t2v.better + 1
    assert found["ranks"] == sorted(ranks.tolist(), reverse=True)[:20]
    assert found["wrong"] == f"{(ranks > 1).sum()} of 120 queries"
    assert found["words"] == sorted((len(text.split()) for text in captions), reverse=True)[:20]
    assert (found["sorted"], found["caption"]) == ("words", "a dog 0")
    best = np.argsort(-similarity[0])[:5].tolist()
    assert [text.split()[0] for text in found["detail"]] == [f"clip{video}" for video in best]
    assert (found["expanded"], found["more"]) == ("true", 40)
    assert found["videos"] == ["60 of 60 queries", "#queries?side=v2t"]
    assert found["sent"] == [["clip7"], "clip7"]


@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_is_cut_off(browser: Browser, tmp_path: Path, width: int) -> None:
    similarity, owner = matrix_of(80)
    long = ["a" * 300 + f" {i}" for i in range(80)]
    material = replace(material_of(similarity, owner), captions=long, video_ids=long, missing=("b" * 300,))
    reasons = [f"{'c' * 400} {i}" for i in range(6)]
    page = render_report(run_of(similarity, owner, not_comparable_because=reasons), material)
    assert page.count('<li class="reason">') == 3 + 6
    script = """
      document.querySelector(".listing .open").click();
      const blocks = "h1, h2, h3, p, li, table, tr, td, th, article, figure";
      const cut = [...document.querySelectorAll(blocks)].filter((each) =>
        each.getBoundingClientRect().right > innerWidth + 1 || each.scrollWidth > each.clientWidth + 1);
      const wide = document.documentElement.scrollWidth;
      return [wide <= innerWidth, cut.map((each) => each.outerHTML.slice(0, 90))];
    """
    fits, cut = browser.run(page, script, width=width).answer
    assert (fits, cut) == (True, [])
    browser.picture(page, tmp_path / "dark.png", width=390, height=844, dark=True)
    assert (tmp_path / "dark.png").stat().st_size > 10_000
