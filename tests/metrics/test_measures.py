"""Measures against naive oracles: every order of the tied items, the published code's list of positions."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.errors import DataError, UsageError
from xbench.metrics.counts import rank_queries
from xbench.metrics.intervals import summarise
from xbench.metrics.measures import DEFAULT_MEASURES, Measure, parse_measure, parse_measures
from xbench.metrics.measures.mean_rank import MeanRank
from xbench.metrics.measures.median_rank import MedianRank
from xbench.metrics.measures.ndcg import NDCG
from xbench.metrics.measures.recall import Recall
from xbench.metrics.measures.recall_sum import RecallSum
from xbench.metrics.measures.reciprocal_rank import ReciprocalRank
from xbench.metrics.ranking import Counts, t2v_counts
from xbench.terms import Ties

HONEST = [Ties.AVERAGE, Ties.OPTIMISTIC, Ties.PESSIMISTIC]
MEASURES: list[Measure] = [
    *(Recall(k) for k in (1, 2, 3, 5, 50)),
    NDCG(1),
    NDCG(3),
    NDCG(10),
    MeanRank(),
    ReciprocalRank(),
    RecallSum(),
]


def counts_of(pairs: list[tuple[int, int]]) -> Counts:
    better, tied = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    ones = np.ones(len(pairs), dtype=np.float32)
    return Counts(better, tied, ones, np.zeros_like(better), nonfinite=0)


COUNTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=12).map(counts_of)


def naive_value(measure: Measure, rank: int) -> float:
    """One query's value at one rank, by the textbook."""
    if isinstance(measure, Recall):
        return 100.0 * (rank <= measure.k)
    if isinstance(measure, NDCG):
        return float(1 / np.log2(rank + 1)) if rank <= measure.k else 0.0
    if isinstance(measure, ReciprocalRank):
        return 1 / rank
    if isinstance(measure, RecallSum):
        return 100.0 * ((rank <= 1) + (rank <= 5) + (rank <= 10))
    return float(rank)


@pytest.mark.parametrize("measure", MEASURES, ids=str)
@given(counts=COUNTS)
def test_average_is_the_mean_over_the_tied_positions(measure: Measure, counts: Counts) -> None:
    expected = [
        statistics.fmean(naive_value(measure, b + 1 + shift) for shift in range(t + 1))
        for b, t in zip(counts.better.tolist(), counts.tied.tolist(), strict=True)
    ]
    ranked = rank_queries(counts, Ties.AVERAGE)
    assert measure.values(ranked) == pytest.approx(expected, rel=1e-12)
    assert measure.aggregate(ranked) == pytest.approx(statistics.fmean(expected), rel=1e-12)


@pytest.mark.parametrize("measure", MEASURES, ids=str)
@given(counts=COUNTS)
def test_optimistic_and_pessimistic_take_the_ends(measure: Measure, counts: Counts) -> None:
    first = [naive_value(measure, b + 1) for b in counts.better.tolist()]
    last = [
        naive_value(measure, b + t + 1)
        for b, t in zip(counts.better.tolist(), counts.tied.tolist(), strict=True)
    ]
    assert measure.values(rank_queries(counts, Ties.OPTIMISTIC)) == pytest.approx(first, rel=1e-12)
    assert measure.values(rank_queries(counts, Ties.PESSIMISTIC)) == pytest.approx(last, rel=1e-12)


@given(COUNTS, st.integers(1, 12))
def test_average_recall_follows_the_stated_formula(counts: Counts, k: int) -> None:
    stated = 100 * np.clip((k - counts.better) / (counts.tied + 1), 0, 1)
    assert Recall(k).values(rank_queries(counts)) == pytest.approx(stated, rel=1e-12)
    assert MeanRank().values(rank_queries(counts)).tolist() == (counts.better + 1 + counts.tied / 2).tolist()


def test_average_is_the_mean_over_all_orders_of_a_tie() -> None:
    scores, right = [3.0, 1.0, 1.0, 1.0, 0.0], 2
    found = t2v_counts(np.array([scores]), np.array([right]))
    by_order = []
    for order in itertools.permutations(range(5)):
        ranking = sorted(order, key=lambda item: -scores[item])
        by_order.append(100.0 * (ranking.index(right) < 2))
    assert summarise(found, Ties.AVERAGE, [Recall(2)]).values[Recall(2)] == pytest.approx(
        statistics.fmean(by_order), rel=1e-12
    )


@given(COUNTS)
def test_reference_lists_a_query_once_for_each_tied_position(counts: Counts) -> None:
    entries = [
        b + shift
        for b, t in zip(counts.better.tolist(), counts.tied.tolist(), strict=True)
        for shift in range(t + 1)
    ]
    values = summarise(counts, Ties.REFERENCE, [Recall(1), Recall(5), MedianRank(), MeanRank()]).values
    assert values[Recall(1)] == 100 * sum(e == 0 for e in entries) / len(entries)
    assert values[Recall(5)] == 100 * sum(e < 5 for e in entries) / len(entries)
    assert values[MedianRank()] == np.median(entries) + 1
    assert values[MeanRank()] == pytest.approx(np.mean(entries) + 1, rel=1e-12)


@given(COUNTS)
def test_the_median_is_over_queries(counts: Counts) -> None:
    for ties in HONEST:
        ranked = rank_queries(counts, ties)
        expected = statistics.median(((ranked.first + ranked.last) / 2).tolist())
        assert MedianRank().aggregate(ranked) == expected


@given(COUNTS)
def test_recall_grows_with_k_and_policies_are_ordered(counts: Counts) -> None:
    for ties in Ties:
        recalls = [Recall(k).aggregate(rank_queries(counts, ties)) for k in range(1, 21)]
        assert recalls == sorted(recalls)
        assert recalls[-1] == pytest.approx(100.0, rel=1e-12)
    for measure in [*MEASURES, MedianRank()]:
        best, average, worst = (
            measure.aggregate(rank_queries(counts, ties))
            for ties in (Ties.OPTIMISTIC, Ties.AVERAGE, Ties.PESSIMISTIC)
        )
        sign = 1 if measure.higher_is_better else -1
        assert sign * worst <= sign * average + 1e-12
        assert sign * average <= sign * best + 1e-12


@given(COUNTS)
def test_the_sum_of_recalls_is_the_sum_of_the_three_recalls(counts: Counts) -> None:
    for ties in HONEST:
        ranked = rank_queries(counts, ties)
        parts = sum(Recall(k).aggregate(ranked) for k in (1, 5, 10))
        assert RecallSum().aggregate(ranked) == pytest.approx(parts, rel=1e-12)


@pytest.mark.parametrize("text", ["R@1", "R@50", "MdR", "MnR", "MRR", "nDCG@10", "RSum"])
def test_a_measure_is_a_value_that_prints_as_it_parses(text: str) -> None:
    measure = parse_measure(text)
    assert str(measure) == text
    assert measure == parse_measure(f" {text.lower()} ")
    assert {measure: 1}[parse_measure(text)] == 1


def test_a_list_of_measures_keeps_its_order_and_drops_repetitions() -> None:
    assert [str(m) for m in parse_measures("MdR, R@100,r@1,R@1")] == ["MdR", "R@100", "R@1"]
    assert ",".join(map(str, DEFAULT_MEASURES)) == "R@1,R@5,R@10,MdR,MnR"


@pytest.mark.parametrize("text", ["", "R@0", "R@-1", "R@1.5", "R@", "Recall", "R@99999999", "R@1;R@5", "P@5"])
def test_what_is_no_measure_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(UsageError, match="There is no measure '"):
        parse_measures(f"R@1,{text}")


def test_a_near_miss_is_asked_back() -> None:
    with pytest.raises(UsageError, match="Did you mean 'MdR'"):
        parse_measure("MdRR")


def test_every_policy_is_found_by_its_name_and_explains_itself() -> None:
    assert [str(ties) for ties in Ties] == ["average", "optimistic", "pessimistic", "reference"]
    assert all(Ties(str(ties)) is ties and ties.explanation for ties in Ties)


def test_a_result_without_any_finite_right_score_is_refused_under_reference() -> None:
    counts = t2v_counts(np.full((2, 2), np.nan, dtype=np.float32), np.arange(2))
    with pytest.raises(DataError, match="divides by zero"):
        summarise(counts, Ties.REFERENCE)
