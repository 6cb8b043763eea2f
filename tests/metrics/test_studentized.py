"""Limits of the mean rank: standard errors as spelt out, coverage under heavy tails, rough where due."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.coverage import SHAPES, coverage, ranked
from xbench.metrics import intervals as bootstrap
from xbench.metrics.intervals import Interval, UnitSums, intervals, log_t_limits
from xbench.metrics.measures import parse_measure

MNR, R1, MDR = (parse_measure(name) for name in ("MnR", "R@1", "MdR"))
HEAVY = next(shape for shape in SHAPES if shape.name.startswith("heavy"))


def of_ranks(ranks: list[int], measure: str = "MnR", clusters: list[int] | None = None) -> Interval:
    videos = None if clusters is None else np.array(clusters)
    asked = parse_measure(measure)
    return intervals(ranked(np.array(ranks)), [asked], videos)[asked]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5)), min_size=2, max_size=20), st.integers(0, 99)
)
def test_a_resamples_standard_error_is_that_of_the_drawn_units_spelt_out(
    queries: list[tuple[int, int]], seed: int
) -> None:
    ranks, clusters = (np.array(column) for column in zip(*queries, strict=True))
    units = bootstrap._units([ranked(ranks)], clusters)
    table = bootstrap._RunTable(ranked(ranks), [MNR], units)
    drawn = next(bootstrap._draws(units.multiplicity, 5, np.random.default_rng(seed)))
    means = table.measure(drawn)[0]
    found = table.sums(0).standard_errors(drawn, means)
    videos = [ranks[clusters == cluster] for cluster in np.unique(clusters)]
    for draw, mean, error in zip(drawn.astype(int), means, found, strict=True):
        chosen = [video for video, times in zip(videos, draw, strict=True) for _ in range(times)]
        residuals = [video.sum() - mean * len(video) for video in chosen]
        n, weight = len(chosen), sum(map(len, chosen))
        spelt_out = (np.square(residuals).sum() * n / max(n - 1, 1)) ** 0.5 / weight
        assert error == pytest.approx(spelt_out, abs=1e-5)


def test_equal_queries_count_as_often_as_they_are_there() -> None:
    ranks = np.array([1.0, 1, 1, 7, 7, 30])
    alone = UnitSums(ranks, np.ones(6), np.ones(6, dtype=np.int64))
    merged = UnitSums(np.array([1.0, 7, 30]), np.ones(3), np.array([3, 2, 1]))
    assert merged.mean == pytest.approx(alone.mean)
    assert merged.standard_error == pytest.approx(float(ranks.std(ddof=1)) / 6**0.5)
    assert merged.effective == pytest.approx(alone.effective)


def test_the_variance_of_a_share_rests_on_its_rarer_outcome() -> None:
    hits = UnitSums(np.array([1.0, 0]), np.ones(2), np.array([20, 1980]))
    assert hits.effective == pytest.approx(20, rel=0.05)
    nothing_varies = UnitSums(np.array([3.0]), np.ones(1), np.array([9]))
    assert nothing_varies.effective == float("inf")
    assert log_t_limits(nothing_varies, np.full(5, 3.0), np.zeros(5), 0.95) == (3.0, 3.0)


@pytest.mark.parametrize(("size", "repetitions"), [((100, 1), 500), ((1000, 1), 150), ((100, 5), 300)])
def test_intervals_of_the_mean_rank_cover_the_truth_under_a_heavy_tail(
    size: tuple[int, int], repetitions: int
) -> None:
    held, _, rough = coverage(HEAVY, MNR, size, repetitions, 1000)
    assert 0.93 <= held <= 0.97
    assert rough == 0


def test_percentiles_would_be_too_narrow_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def percentiles(_: UnitSums, means: bootstrap.Floats, *__: object) -> tuple[float, float]:
        found = bootstrap.percentile_interval(means)
        return found.low, found.high

    monkeypatch.setattr(bootstrap, "log_t_limits", percentiles)
    assert coverage(HEAVY, MNR, (100, 1), 300, 1000)[0] < 0.85


def test_few_queries_make_a_rough_interval() -> None:
    ranks = np.random.default_rng(0).integers(1, 20, 60).tolist()
    assert of_ranks(ranks[:49]).rough
    assert not of_ranks(ranks).rough
    assert of_ranks(ranks[:49], "R@5").rough
    assert of_ranks(ranks[:19], "MdR").rough
    assert not of_ranks(ranks[:20], "MdR").rough


def test_many_captions_of_few_videos_make_a_rough_interval() -> None:
    ranks = np.random.default_rng(0).integers(1, 20, 600).tolist()
    assert of_ranks(ranks, clusters=[index // 20 for index in range(600)]).rough
    assert not of_ranks(ranks, clusters=[index // 10 for index in range(600)]).rough


def test_few_hits_make_a_rough_interval_however_many_queries_there_are() -> None:
    few, enough = ([1] * hits + [9] * (1000 - hits) for hits in (8, 12))
    assert of_ranks(few, "R@1").rough
    assert not of_ranks(enough, "R@1").rough


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12))
def test_limits_are_finite_hold_the_value_and_stay_among_the_ranks(ranks: list[int]) -> None:
    found = of_ranks(ranks)
    assert min(ranks) - 1e-9 <= found.low <= np.mean(ranks) + 1e-9
    assert np.mean(ranks) - 1e-9 <= found.high <= max(ranks) + 1e-9
