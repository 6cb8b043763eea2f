"""A result of two stages among others: apart on boards, refused as a baseline, told of, and proven."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_examples import per_query, result

from xbench.errors import DataError, UsageError
from xbench.metrics.reranking import TwoStageCounts, TwoStages, second_scores
from xbench.reports.board.boards import Filter, boards
from xbench.reports.board.formats import render_leaderboard
from xbench.reports.check.regression import check_against_published, check_against_run
from xbench.reports.compare.paired import compare
from xbench.reports.page.findings import Material
from xbench.reports.page.report import render_report
from xbench.reports.published.difference import diff
from xbench.reports.record.files import Measurement, read, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Checkpoint, FirstStageRecord, Reranked, scoring_reasons
from xbench.terms import Ties

QUERIES = 1000


def stages(k: int, digits: int = 2) -> TwoStageCounts:
    random = np.random.default_rng(0)
    owners = np.arange(QUERIES)
    first, second = (
        np.round(random.standard_normal((QUERIES, QUERIES)), digits).astype(np.float32) for _ in range(2)
    )
    for scores in (first, second):
        scores[owners, owners] += 3.0
    found = TwoStages(first, owners, owners, "group-max", k)
    return found.counts(second_scores(second, found))


def told(counts: TwoStageCounts, k: int, first: str = "base", sha256: str = "0" * 64) -> Reranked:
    file = Checkpoint(file=f"{first}.npy", sha256=sha256)
    record = FirstStageRecord(name=first, file=file)
    return Reranked(k=k, first=record, pairs=1, outside=counts.outside, wider=counts.wider)


def measured(k: int = 10, folder: Path | None = None, first: str = "base", digits: int = 2) -> Measurement:
    both = stages(k, digits)
    own = per_query()
    counts = PerQuery(both.t2v, both.v2t, own.caption_to_video, own.caption_keys, own.video_keys)
    reranked = told(both, k, first)
    reasons = scoring_reasons(Ties.AVERAGE, "none", reranked)
    record = result(counts, reranked=reranked, not_comparable_because=reasons)
    if folder is None:
        return Measurement(record, counts)
    path, saved = save(record, counts, folder)
    return Measurement(saved, counts, path)


def raw() -> Measurement:
    return Measurement(result(), per_query())


def test_it_never_stands_on_a_board_with_rows_of_one_stage_or_of_another_k() -> None:
    found = boards([raw(), measured(10), measured(128)], Filter(directions=("t2v",)))
    assert [(board.kind, board.k, len(board.rows)) for board in found] == [
        ("raw", 0, 1),
        ("rerank", 10, 1),
        ("rerank", 128, 1),
    ]
    assert all(row.place == "1" for board in found for row in board.rows)
    assert found[1].title.endswith("scored again in a second stage (k 10)")
    assert not found[1].rows[0].honest


def test_other_candidates_make_another_result() -> None:
    (board,) = boards([measured(10), measured(10, first="other")], Filter(directions=("t2v",)))
    assert {row.reranked for row in board.rows} == {
        "re-ranked the first 10 of base",
        "re-ranked the first 10 of other",
    }


@pytest.mark.parametrize("style", ["text", "md", "latex", "html", "model-index"])
def test_every_format_says_by_what_and_how_many(style: str) -> None:
    shown = render_leaderboard([measured(10)], style, Filter())
    plain = " ".join(shown.replace("{}", "").split())  # of LaTeX, which keeps hyphens apart
    assert "re-ranked the first 10 of base" in plain


def test_a_filter_of_comparable_rows_leaves_it_out() -> None:
    with pytest.raises(DataError, match="no result fits"):
        render_leaderboard([measured(10)], "text", Filter(comparable_only=True))


def test_a_page_says_it_and_takes_no_matrix() -> None:
    page = render_report(measured(10), Material())
    assert "re-ranked the first 10 of base" in page
    assert "the right item is not" in page
    with pytest.raises(DataError, match="are of two stages"):
        render_report(measured(10), Material(similarity=np.eye(QUERIES)))


def test_a_comparison_says_it() -> None:
    assert "a second stage, re-ranked the first 10 of base" in " ".join(
        str(compare([raw(), measured(10)])).split()
    )


def test_a_gate_wants_the_same_second_stage() -> None:
    with pytest.raises(UsageError, match="second stage: none and re-ranked the first 10 of base"):
        check_against_run(measured(10), raw(), {})
    with pytest.raises(UsageError, match=r"second stage: re-ranked the first 5 .* first 10"):
        check_against_run(measured(10), measured(5), {})
    assert not check_against_run(measured(10), measured(10), {}).failures
    with pytest.raises(DataError, match="NOT COMPARABLE with published numbers"):
        check_against_published(measured(10), "", {})


def test_no_published_row_of_one_stage_stands_beside_it() -> None:
    found = diff(measured(10).record, "X-CLIP")
    assert found.comparisons
    assert all(
        any(reason.endswith("rerank for the result") for reason in each.reasons) for each in found.comparisons
    )
    assert not any(each.comparable for each in found.comparisons)


def test_what_a_run_wrote_is_believed(tmp_path: Path) -> None:
    for k in (1, 10, 2000):
        path = measured(k, tmp_path).path
        assert path is not None
        assert read(path).record.reranked is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [("k", 11), ("outside", {"t2v": 0, "v2t": 0}), ("outside", {"t2v": 1000, "v2t": 1000})],
)
def test_what_its_counts_do_not_give_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = measured(10, tmp_path).path
    assert path is not None
    content = json.loads(path.read_text())
    assert read(path).record.reranked.outside["t2v"] > 0  # type: ignore[union-attr]
    content["reranked"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"contradicts itself.*queries outside the first"):
        read(path)


def test_ties_across_the_last_place_must_be_said(tmp_path: Path) -> None:
    found = measured(10, digits=6)
    assert found.record.reranked.wider == {"t2v": 0, "v2t": 0}  # type: ignore[union-attr]
    counts = found.counts
    better, tied = counts.t2v.better.copy(), counts.t2v.tied.copy()
    better[0], tied[0] = 5, 9
    changed = replace(counts, t2v=replace(counts.t2v, better=better, tied=tied))
    record = result(
        changed, reranked=found.record.reranked, not_comparable_because=found.record.not_comparable_because
    )
    path, _ = save(record, changed, tmp_path)
    with pytest.raises(DataError, match="queries outside the first 10"):
        read(path)


def test_it_must_be_understood_by_who_reads_it(tmp_path: Path) -> None:
    assert "reranked" in measured(10).record.must_understand
    assert "reranked" not in raw().record.must_understand
    path = measured(10, tmp_path).path
    assert path is not None
    content = json.loads(path.read_text())
    content |= {"comparable": True, "not_comparable_because": []}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="re-ranked or with post-processing cannot be comparable"):
        read(path)
