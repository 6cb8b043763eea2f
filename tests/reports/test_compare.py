"""Comparing saved runs: same queries or a refusal, each number against its naive computation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from record_examples import per_query, result

from xbench.cli.compare import command
from xbench.errors import DataError, UsageError
from xbench.metrics.measures import parse_measures
from xbench.metrics.measures.mean_rank import MeanRank
from xbench.metrics.measures.recall import Recall
from xbench.metrics.significance import mcnemar, sign_flip, wilcoxon
from xbench.reports.compare.comparison import Comparison
from xbench.reports.compare.paired import compare
from xbench.reports.compare.pairing import aligned
from xbench.reports.record.files import Measurement, read, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Fingerprint, Record, Videos


def run(counts: PerQuery, name: str = "a.json", **changes: Any) -> Measurement:
    return Measurement(result(counts, **changes), counts, Path(name))


def shuffled(counts: PerQuery, seed: int) -> PerQuery:
    """The same run with captions and videos in another order."""
    random = np.random.default_rng(seed)
    captions = random.permutation(len(counts.t2v))
    videos = random.permutation(len(counts.v2t))
    return PerQuery(
        counts.t2v.take(captions),
        counts.v2t.take(videos),
        np.argsort(videos)[counts.caption_to_video[captions]],
        counts.caption_keys[captions],
        counts.video_keys[videos],
    )


FIRST, SECOND = per_query(200, seed=1), per_query(200, seed=2)
MULTI = per_query(60, captions=5, seed=1), per_query(60, captions=5, seed=2)


def test_every_number_equals_its_naive_computation() -> None:
    comparison = compare([run(FIRST), run(SECOND, "b.json")])
    contrasts = {(c.direction, str(c.measure)): c for c in comparison.versus[0].contrasts}
    assert len(contrasts) == 10
    ranks = [counts.t2v.better + 1 + counts.t2v.tied / 2 for counts in (FIRST, SECOND)]
    recalls = [np.clip((10 - counts.t2v.better) / (counts.t2v.tied + 1), 0, 1) for counts in (FIRST, SECOND)]
    found = contrasts["t2v", "R@10"]
    assert found.first == pytest.approx(100 * recalls[0].mean())
    assert found.second == pytest.approx(100 * recalls[1].mean())
    assert found.wins_first == (recalls[0] > recalls[1] + 1e-12).sum()
    assert found.wins_second == (recalls[1] > recalls[0] + 1e-12).sum()
    assert found.p == mcnemar(found.wins_first, found.wins_second).two_sided
    assert found.low < found.difference < found.high
    half_width = 1.96 * 100 * (recalls[1] - recalls[0]).std() / np.sqrt(200)
    assert found.high - found.low == pytest.approx(2 * half_width, rel=0.05)
    ranked = contrasts["t2v", "MnR"]
    assert ranked.difference == pytest.approx((ranks[1] - ranks[0]).mean())
    assert ranked.p == sign_flip(ranks[0] - ranks[1]).two_sided
    assert ranked.p_worse == sign_flip(ranks[0] - ranks[1]).worse
    assert contrasts["t2v", "MdR"].p == wilcoxon(ranks[0] - ranks[1]).two_sided
    assert ranked.wins_first == (ranks[0] < ranks[1]).sum()
    assert ranked.worsening == ranked.difference
    assert found.worsening == -found.difference


def test_holm_runs_over_all_contrasts_of_all_runs() -> None:
    comparison = compare([run(FIRST), run(SECOND), run(per_query(200, seed=3))], [Recall(1), MeanRank()])
    contrasts = [c for versus in comparison.versus for c in versus.contrasts]
    assert len(contrasts) == 8
    smallest = min(contrasts, key=lambda c: c.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 8 * smallest.p))


def test_a_run_equals_itself() -> None:
    for counts in (FIRST, MULTI[0]):
        for contrast in compare([run(counts), run(counts)]).versus[0].contrasts:
            assert contrast.difference == contrast.low == contrast.high == 0
            assert contrast.p == contrast.p_holm == 1
            exact = contrast.test.startswith("McNemar")
            assert (contrast.resolvable is not None) == exact  # eight queries or so would do


@pytest.mark.parametrize("pair", [(FIRST, SECOND), MULTI], ids=["one caption", "several captions"])
def test_the_order_of_the_queries_changes_nothing(pair: tuple[PerQuery, PerQuery]) -> None:
    straight = compare([run(pair[0]), run(pair[1])])
    mixed = compare([run(pair[0]), run(shuffled(pair[1], seed=5))])
    assert straight == mixed
    for side in ("t2v", "v2t"):
        again = aligned(pair[0], shuffled(pair[0], seed=9), side)  # type: ignore[arg-type]
        assert np.array_equal(again.better, getattr(pair[0], side).better)


def test_captions_of_one_video_are_taken_together() -> None:
    comparison = compare([run(MULTI[0]), run(MULTI[1])])
    tests = {(c.direction, str(c.measure)): c.test for c in comparison.versus[0].contrasts}
    assert comparison.clustered
    assert tests["t2v", "R@1"] == "sign flip by video of the mean"
    assert tests["t2v", "MnR"] == "sign flip by video of the mean"
    assert tests["t2v", "MdR"] == "signed ranks, sign flip by video"
    assert tests["v2t", "MnR"] == "sign flip of the mean"
    assert tests["v2t", "R@1"] == "McNemar, exact"
    assert tests["v2t", "MdR"] == "Wilcoxon signed-rank of ranks"


def with_fingerprint(**changes: Any) -> Record:
    record = result(FIRST)
    fingerprint = Fingerprint(**record.protocol.fingerprint.model_dump() | changes)
    return record.model_copy(
        update={"protocol": record.protocol.model_copy(update={"fingerprint": fingerprint})}
    )


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (with_fingerprint(ids="1" * 64), "other videos"),
        (with_fingerprint(pairs_ws_normalised_sorted="1" * 64), "other captions"),
        (with_fingerprint(captions=7), "captions: 200 and 7"),
        (result(FIRST, benchmark="msvd"), "benchmark: msrvtt and msvd"),
        (result(FIRST, videos=Videos(wanted=200, scored=199)), "videos scored: 200 and 199"),
        (
            result(FIRST, videos=Videos(wanted=202, scored=200, missing=["video7", "video8"])),
            "2 videos not scored in the second only: video7, video8",
        ),
    ],
)
def test_runs_over_other_queries_are_refused_saying_what_differs(other: Record, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        compare([run(FIRST), Measurement(other, FIRST, Path("b.json"))])


def test_equal_missing_lists_can_be_compared() -> None:
    missing = Videos(wanted=201, scored=200, missing=["video7"])
    assert compare([run(FIRST, videos=missing), run(SECOND, videos=missing)]).versus


def test_white_space_and_order_of_the_files_do_not_forbid_comparing() -> None:
    other = with_fingerprint(pairs="2" * 64, pairs_sorted="3" * 64)
    assert compare([run(FIRST), Measurement(other, SECOND, Path("b.json"))]).versus
    texts = ["a  dog\nruns ", "a dog runs"]
    keys = [
        PerQuery.of(FIRST.t2v.take([0]), FIRST.v2t.take([0]), np.array([0]), [text], ["v"])  # type: ignore[arg-type]
        for text in texts
    ]
    assert keys[0].caption_keys == keys[1].caption_keys


def test_counts_of_other_queries_are_refused_even_with_equal_fingerprints() -> None:
    other = PerQuery(
        SECOND.t2v,
        SECOND.v2t,
        SECOND.caption_to_video,
        SECOND.caption_keys + np.uint64(1),
        SECOND.video_keys,
    )
    with pytest.raises(UsageError, match="their per-query files hold other queries"):
        compare([run(FIRST), run(other)])


def test_scores_that_are_not_finite_are_refused() -> None:
    broken = PerQuery(
        FIRST.t2v.__class__(
            FIRST.t2v.better, FIRST.t2v.tied, FIRST.t2v.right, FIRST.t2v.nan_rivals, nonfinite=3
        ),
        FIRST.v2t,
        FIRST.caption_to_video,
        FIRST.caption_keys,
        FIRST.video_keys,
    )
    with pytest.raises(DataError, match=r"^3 of the similarity scores"):
        compare([run(FIRST), run(broken)])


@pytest.fixture
def comparison() -> Comparison:
    return compare([run(FIRST, "a_1.json"), run(SECOND, "b_2.json")], parse_measures("R@1,MnR"))


def test_text_fits_100_columns_and_says_what_can_be_resolved(comparison: Comparison) -> None:
    shown = comparison.render()
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert "first: xclip ViT-B/32 (a_1.json)" in shown
    assert "resolves" in shown
    contrast = comparison.versus[0].contrasts[0]
    assert contrast.resolvable is not None
    assert f"{contrast.wins_first}:{contrast.wins_second}" in shown
    assert f"{contrast.resolvable:.1f}" in shown


def test_markdown_and_latex_escape_what_they_must(comparison: Comparison) -> None:
    assert "a\\_1.json" in comparison.render("md")
    assert "| t2v | R@1" in comparison.render("md")
    latex = comparison.render("latex")
    assert "a\\_\\allowbreak{}1.json" in latex
    assert r"\textbf{" in latex
    assert r"95\% interval" in latex
    assert r"\toprule" in latex


def test_json_holds_every_contrast(comparison: Comparison) -> None:
    raw = json.loads(comparison.render("json"))
    contrasts = raw["versus"][0]["contrasts"]
    assert [(c["direction"], c["measure"]) for c in contrasts] == [
        ("t2v", "R@1"),
        ("t2v", "MnR"),
        ("v2t", "R@1"),
        ("v2t", "MnR"),
    ]
    assert contrasts[0]["difference"] == pytest.approx(contrasts[0]["second"] - contrasts[0]["first"])
    assert {"low", "high", "p", "p_holm", "resolvable", "significant"} <= set(contrasts[0])


def test_a_clear_difference_is_marked() -> None:
    better = FIRST.t2v
    worse = PerQuery(
        better.__class__(better.better + 30, better.tied, better.right, better.nan_rivals, 0),
        FIRST.v2t,
        FIRST.caption_to_video,
        FIRST.caption_keys,
        FIRST.video_keys,
    )
    shown = compare([run(FIRST), run(worse)]).render()
    assert "*" in next(line for line in shown.splitlines() if line.startswith("t2v  R@1"))
    assert "<.001" in shown


def test_the_command_needs_nothing_but_the_saved_files(tmp_path: Path) -> None:
    paths = [save(result(counts), counts, tmp_path)[0] for counts in (FIRST, SECOND)]
    shown = CliRunner().invoke(command, [*map(str, paths), "--metrics", "R@1,RSum"])
    assert shown.exit_code == 0
    assert "RSum" in shown.output
    assert read(paths[0]).record.protocol.requested == "msrvtt/small"
    paths[1].with_suffix(".npz").unlink()
    failed = CliRunner().invoke(command, list(map(str, paths)))
    assert isinstance(failed.exception, DataError)
    alone = CliRunner().invoke(command, [str(paths[0])])
    assert isinstance(alone.exception, UsageError)
