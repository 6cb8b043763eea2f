"""Intervals: every resample equals the measure of the queries spelt out; draws are multinomial; coverage."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.metrics import intervals as module
from xbench.metrics.counts import Counts, Ranked, rank_queries
from xbench.metrics.intervals import Interval, MedianTable, intervals, percentile_interval, resample
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.metrics.measures.mean_rank import MeanRank
from xbench.metrics.measures.median_rank import MedianRank
from xbench.metrics.measures.ndcg import NDCG
from xbench.metrics.measures.recall import Recall
from xbench.metrics.measures.recall_sum import RecallSum
from xbench.metrics.measures.reciprocal_rank import ReciprocalRank
from xbench.terms import Ties

MEASURES: list[Measure] = [*DEFAULT_MEASURES, ReciprocalRank(), NDCG(10), RecallSum()]


def counts_of(better: list[int], tied: list[int] | None = None) -> Counts:
    above = np.array(better, dtype=np.int64)
    equal = np.zeros_like(above) if tied is None else np.array(tied, dtype=np.int64)
    return Counts(above, equal, np.ones(len(above), np.float32), np.zeros_like(above), nonfinite=0)


PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=15)


@pytest.mark.parametrize(("ties", "as_torch"), [*((ties, False) for ties in Ties), (Ties.REFERENCE, True)])
@settings(max_examples=40)
@given(pairs=PAIRS, clustered=st.booleans(), seed=st.integers(0, 99))
def test_every_resample_equals_the_measure_of_the_drawn_queries(
    pairs: list[tuple[int, int]], clustered: bool, seed: int, ties: Ties, as_torch: bool
) -> None:
    ranked = rank_queries(counts_of(*map(list, zip(*pairs, strict=True))), ties, as_torch=as_torch)
    clusters = np.arange(len(pairs)) // 2 if clustered else None
    units = module._units([ranked], clusters)
    table = module._RunTable(ranked, MEASURES, units)
    draws = next(module._draws(units.multiplicity, 5, np.random.default_rng(seed)))
    found = table.measure(draws)
    for row, draw in enumerate(draws.astype(np.int64)):
        queries = np.repeat(units.members, draw[units.of])
        spelt_out = ranked.take(queries)
        expected = [measure.aggregate(spelt_out) for measure in MEASURES]
        assert found[:, row] == pytest.approx(expected, rel=1e-6 if as_torch else 1e-12)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 50), st.sampled_from([1, 7, 10**6])
)
def test_a_resample_has_as_many_queries_as_the_set(multiplicity: list[int], rows: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        drawn = np.concatenate(list(module._draws(np.array(multiplicity), rows, np.random.default_rng(0))))
    assert drawn.shape == (rows, len(multiplicity))
    assert (drawn.sum(axis=1) == sum(multiplicity)).all()
    assert (drawn >= 0).all()


@pytest.mark.parametrize("common", [0, 2, 4])
def test_draws_are_multinomial_however_they_are_made(common: int) -> None:
    multiplicity = np.array([50, 30, 15, 5])
    drawn = module._draw(multiplicity, common, 40_000, np.random.default_rng(1))
    chances = multiplicity / 100
    assert drawn.mean(axis=0) == pytest.approx(multiplicity, abs=0.1)
    expected = 100 * (np.diag(chances) - np.outer(chances, chances))
    assert np.cov(drawn.T) == pytest.approx(expected, abs=0.6)


def test_the_median_table_grows_until_every_median_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STANDARD_ERRORS", 1e-9)
    ranked = rank_queries(counts_of(list(range(0, 60, 2))))
    draws = next(module._draws(np.ones(30, dtype=np.int64), 200, np.random.default_rng(0)))
    found = MedianTable(ranked, np.arange(30), np.ones(30, dtype=np.int64)).medians(draws)
    expected = [np.median(np.repeat(ranked.first, draw.astype(int))) for draw in draws]
    assert found.tolist() == expected


def test_intervals_agree_with_scipys_bootstrap() -> None:
    random = np.random.default_rng(3)
    better = random.geometric(0.2, size=400) - 1
    found = intervals(rank_queries(counts_of(better.tolist())), [MeanRank()])[MeanRank()]
    theirs = scipy.stats.bootstrap(
        (better + 1.0,), np.mean, n_resamples=10_000, method="percentile", rng=random
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=0.05)
    assert found.high == pytest.approx(theirs.high, abs=0.05)


def test_one_seed_gives_one_interval() -> None:
    ranked = rank_queries(counts_of([0, 3, 5, 0, 1, 9]))
    assert intervals(ranked, MEASURES) == intervals(ranked, MEASURES)
    assert intervals(ranked, [MeanRank()], seed=1) != intervals(ranked, [MeanRank()], seed=2)


@pytest.mark.parametrize("truth", [0.3, 0.5])
def test_intervals_of_recall_cover_the_truth_in_95_percent_of_1000_query_sets(truth: float) -> None:
    random = np.random.default_rng(2022)
    covered = 0
    for repetition in range(500):
        better = np.where(random.random(1000) < truth, 0, 1).tolist()
        found = intervals(rank_queries(counts_of(better)), [Recall(1)], seed=repetition)[Recall(1)]
        covered += 100 * truth in found
    assert 0.93 <= covered / 500 <= 0.97


def test_intervals_by_video_cover_the_truth_where_captions_are_dependent() -> None:
    random, truth, repetitions = np.random.default_rng(7), 0.4, 300
    covered = {"by video": 0, "by caption": 0}
    clusters = np.repeat(np.arange(150), 8)
    for repetition in range(repetitions):
        chance = random.beta(0.8, 1.2, size=150)[clusters]
        better = np.where(random.random(len(clusters)) < chance, 0, 1).tolist()
        ranked = rank_queries(counts_of(better))
        for way, groups in (("by video", clusters), ("by caption", None)):
            found = intervals(ranked, [Recall(1)], groups, resamples=2000, seed=repetition)
            covered[way] += 100 * truth in found[Recall(1)]
    assert 0.91 <= covered["by video"] / repetitions <= 0.98
    assert covered["by caption"] / repetitions < 0.8


def test_clusters_of_equal_captions_are_as_uncertain_as_their_videos() -> None:
    random = np.random.default_rng(0)
    better = random.geometric(0.3, size=200) - 1
    alone = intervals(rank_queries(counts_of(better.tolist())), DEFAULT_MEASURES)
    repeated = rank_queries(counts_of(np.repeat(better, 5).tolist()))
    together = intervals(repeated, DEFAULT_MEASURES, np.repeat(np.arange(200), 5))
    for measure in DEFAULT_MEASURES:
        assert together[measure].low == pytest.approx(alone[measure].low, abs=0.6)
        assert together[measure].high == pytest.approx(alone[measure].high, abs=0.6)


def test_queries_that_reference_drops_are_in_no_resample() -> None:
    counts = counts_of([0, 5, 0, 5])
    counts.right[1] = np.nan
    ranked = rank_queries(counts, Ties.REFERENCE)
    clusters = np.array([0, 0, 1, 1])
    assert intervals(ranked, [MedianRank()], clusters)[MedianRank()].low == 1.0
    assert ranked.queries.tolist() == [0, 2, 3]


def test_paired_resamples_draw_the_same_queries_for_both_runs() -> None:
    first, second = (rank_queries(counts_of(better)) for better in ([0, 9, 4, 2], [1, 10, 5, 3]))
    samples = resample([first, second], [MeanRank()])
    assert np.unique(samples[1] - samples[0]).tolist() == [1.0]
    assert samples.shape == (2, 1, module.RESAMPLES)


def test_a_constant_has_an_interval_of_no_width() -> None:
    found = intervals(rank_queries(counts_of([2] * 7)), MEASURES)
    for measure, interval in found.items():
        value = measure.aggregate(rank_queries(counts_of([2] * 7)))
        assert interval.low == pytest.approx(value)
        assert interval.high == pytest.approx(value)
    assert 1.0 in Interval(1.0, 2.0)
    assert 2.1 not in Interval(1.0, 2.0)


def test_the_interval_holds_the_central_95_percent() -> None:
    found = percentile_interval(np.arange(1001.0))
    assert (found.low, found.high) == (pytest.approx(25.0), pytest.approx(975.0))


def test_all_resamples_of_a_tiny_set_have_their_exact_chances() -> None:
    ranked: Ranked = rank_queries(counts_of([0, 1, 2]))
    samples = resample([ranked], [MeanRank()], resamples=100_000)[0, 0]
    exact = [np.mean(draw) for draw in itertools.product([1, 2, 3], repeat=3)]
    for value in set(exact):
        assert np.isclose(samples, value).mean() == pytest.approx(exact.count(value) / 27, abs=0.006)
