"""Every number that the published metrics gave for the golden matrices, under `reference`; and where nothing
ties and all is finite, under the other policies too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_metrics import MULTI, ONE_TO_ONE, PLAIN, SHIPPED, STABLE, UNSTABLE, Golden, big_case

from xbench.errors import DataError
from xbench.metrics.intervals import Summary, summarise
from xbench.metrics.measures.recall import Recall
from xbench.metrics.ranking import Counts
from xbench.terms import Ties


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The case that a test names; the big ones come from the golden folder itself."""
    if request.param in SHIPPED:
        return SHIPPED[request.param]
    shared: Path = request.getfixturevalue("shared")
    return big_case(request.param, shared / "golden")


def assert_published(summary: Summary, expected: dict[str, Any]) -> None:
    values = {str(measure): value for measure, value in summary.values.items()}
    assert values["R@1"] == expected["R1"]
    assert values["R@5"] == expected["R5"]
    assert values["R@10"] == expected["R10"]
    assert values["MdR"] == expected["MR"] == expected["MedianR"]
    assert values["MnR"] == pytest.approx(expected["MeanR"], rel=1e-14)


def entries(counts: Counts) -> list[int]:
    """The 0-based positions of all entries spelt out, as the published `cols`."""
    kept = np.flatnonzero(np.isfinite(counts.right))
    return [p for q in kept for p in range(counts.better[q], counts.better[q] + counts.tied[q] + 1)]


@pytest.mark.parametrize("golden", [*ONE_TO_ONE, *MULTI], indirect=True)
def test_reference_reproduces_every_video_to_text_number(golden: Golden) -> None:
    expected = golden.published["v2t"]
    summary = summarise(golden.v2t, Ties.REFERENCE)
    assert_published(summary, expected)
    assert len(entries(golden.v2t)) == expected["n_ranks"]
    if "cols" in expected:
        assert entries(golden.v2t) == expected["cols"]
    if not golden.v2t.tied.any():
        assert len(golden.v2t) - summary.vanished == expected["n_ranks"]


@pytest.mark.parametrize("golden", ONE_TO_ONE, indirect=True)
def test_reference_reproduces_text_to_video_of_one_to_one_sets(golden: Golden) -> None:
    expected = golden.published["t2v"]
    assert_published(summarise(golden.t2v, Ties.REFERENCE), expected)
    assert len(entries(golden.t2v)) == expected["n_ranks"]
    if "cols" in expected:
        assert entries(golden.t2v) == expected["cols"]


@pytest.mark.parametrize("golden", STABLE, indirect=True)
def test_reference_reproduces_text_to_video_of_several_captions(golden: Golden) -> None:
    expected = golden.published["t2v"]
    summary = summarise(golden.t2v, Ties.REFERENCE, as_torch=True)
    assert_published(summary, expected)
    assert len(golden.t2v) - summary.vanished == expected["n_valid"]
    order = golden.official_order()
    ranks = (golden.t2v.better + golden.t2v.nan_rivals)[order][np.isfinite(golden.t2v.right[order])]
    assert np.std(ranks + 1) == pytest.approx(expected["Std_Rank"], rel=1e-14)
    if "valid_ranks_in_official_order" in expected:
        assert ranks.tolist() == expected["valid_ranks_in_official_order"]


@pytest.mark.parametrize("golden", UNSTABLE, indirect=True)
def test_unstable_published_ranks_stay_within_the_bounds(golden: Golden) -> None:
    expected = golden.published["t2v"]
    order = golden.official_order()
    if "valid_ranks_in_official_order" in expected:
        ranks = np.array(expected["valid_ranks_in_official_order"])
        assert (golden.t2v.better[order] <= ranks).all()
        assert (ranks <= (golden.t2v.better + golden.t2v.tied)[order]).all()
    low, ours, high = (
        summarise(golden.t2v, ties, as_torch=True).values
        for ties in (Ties.PESSIMISTIC, Ties.REFERENCE, Ties.OPTIMISTIC)
    )
    for k in (1, 5, 10):
        assert low[Recall(k)] - 1e-5 <= expected[f"R{k}"] <= high[Recall(k)] + 1e-5
        assert low[Recall(k)] - 1e-5 <= ours[Recall(k)] <= high[Recall(k)] + 1e-5


@pytest.mark.parametrize("golden", PLAIN, indirect=True)
@pytest.mark.parametrize("ties", [Ties.AVERAGE, Ties.OPTIMISTIC, Ties.PESSIMISTIC])
def test_every_policy_gives_the_published_recalls_where_nothing_ties(golden: Golden, ties: Ties) -> None:
    for counts, expected in ((golden.t2v, golden.published["t2v"]), (golden.v2t, golden.published["v2t"])):
        values = {str(measure): value for measure, value in summarise(counts, ties).values.items()}
        # 1e-6 is the float32 of the published percentages
        assert [values[f"R@{k}"] for k in (1, 5, 10)] == pytest.approx(
            [expected[f"R{k}"] for k in (1, 5, 10)], rel=1e-6
        )
        assert values["MnR"] == pytest.approx(expected["MeanR"], rel=1e-14)


@pytest.mark.parametrize("ties", [Ties.AVERAGE, Ties.OPTIMISTIC, Ties.PESSIMISTIC])
@pytest.mark.parametrize(
    ("name", "count"),
    [("nan_column_50", "50"), ("multi_30_nan_column", "134"), ("multi_30_neginf_row", "30")],
)
def test_nan_and_infinity_are_refused_with_their_count(name: str, count: int, ties: Ties) -> None:
    for counts in (SHIPPED[name].t2v, SHIPPED[name].v2t):
        with pytest.raises(DataError, match=f"^{count} of the similarity scores are NaN or infinite"):
            summarise(counts, ties)


def test_reference_tells_how_many_queries_vanished() -> None:
    assert summarise(SHIPPED["nan_column_50"].t2v, Ties.REFERENCE).vanished == 1
    assert summarise(SHIPPED["nan_column_50"].v2t, Ties.REFERENCE).vanished == 1
    assert summarise(SHIPPED["multi_30_nan_column"].t2v, Ties.REFERENCE, as_torch=True).vanished == 8
    assert summarise(SHIPPED["multi_30_nan_column"].v2t, Ties.REFERENCE).vanished == 1
    assert summarise(SHIPPED["square_50"].t2v, Ties.REFERENCE).vanished == 0
