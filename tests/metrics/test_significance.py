"""p-values against full enumeration and the textbook; error rates and power by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.significance import EQUAL, LOST, SHIFTED, found_share
from xbench.metrics.significance import (
    PValues,
    holm,
    mcnemar,
    resolvable_difference,
    resolvable_share,
    sign_flip,
    signed_ranks,
    wilcoxon,
)


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_two_sided_binomial_tail(first: int, second: int) -> None:
    n, smaller = first + second, min(first, second)
    tail = sum(math.comb(n, k) for k in range(smaller + 1)) / 2**n
    assert mcnemar(first, second).two_sided == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(first, second).two_sided == mcnemar(second, first).two_sided


def test_runs_that_agree_everywhere_have_p_1() -> None:
    nothing = PValues(1.0, 1.0)
    assert mcnemar(0, 0) == wilcoxon(np.zeros(9)) == sign_flip(np.zeros(9), np.arange(9)) == nothing


def test_wilcoxon_is_the_exact_signed_rank_test_on_few_queries() -> None:
    differences = np.array([3.0, -1.0, 4.0, 2.0, -5.0, 6.0, 0.0])
    ranks = np.arange(1, 7)
    signs = np.array(list(itertools.product([0, 1], repeat=6)))
    positive = signs @ ranks
    observed = 1 * 0 + 2 + 3 + 4 + 6  # of 1..6, the magnitudes 1 and 5 are negative
    extreme = (positive >= observed).mean()
    assert wilcoxon(differences).two_sided == pytest.approx(2 * extreme)
    assert wilcoxon(-differences).worse == pytest.approx(extreme)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8), st.integers(0, 5))
def test_sign_flip_approaches_full_enumeration_by_video(values: list[int], seed: int) -> None:
    differences, clusters = np.array(values, dtype=float), np.arange(len(values)) // 2
    sums = np.bincount(clusters, differences)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(sums))))
    found = sign_flip(differences, clusters, resamples=20_000, seed=seed)
    two_sided = (np.abs(signs @ sums) >= abs(sums.sum())).mean()
    assert found.two_sided == pytest.approx(two_sided, abs=0.02)
    assert found.worse == pytest.approx((signs @ sums <= sums.sum()).mean(), abs=0.02)


def test_sign_flip_by_video_ignores_how_often_a_video_is_captioned() -> None:
    differences = np.array([1.0, 0.0, 1.0, 1.0, 0.0, -1.0])
    once = sign_flip(differences, np.arange(6))
    often = sign_flip(np.repeat(differences, 50), np.repeat(np.arange(6), 50))
    assert once == often
    assert sign_flip(np.repeat(differences, 50)).two_sided < 0.001


def test_tests_of_equal_runs_are_significant_in_5_percent() -> None:
    random, found = np.random.default_rng(11), {"mcnemar": 0, "wilcoxon": 0, "sign flip": 0}
    for seed in range(400):
        ranks = random.geometric(0.3, size=(2, 200))
        hits = ranks <= 1
        wins = (hits[0] & ~hits[1]).sum(), (hits[1] & ~hits[0]).sum()
        found["mcnemar"] += mcnemar(int(wins[0]), int(wins[1])).two_sided < 0.05
        found["wilcoxon"] += wilcoxon((ranks[1] - ranks[0]).astype(float)).two_sided < 0.05
        videos = np.repeat(random.standard_normal(40), 5) + random.standard_normal(200)
        flipped = sign_flip(videos, np.arange(200) // 5, resamples=500, seed=seed)
        found["sign flip"] += flipped.two_sided < 0.05
    assert 0.01 <= found["mcnemar"] / 400 <= 0.07
    assert 0.03 <= found["wilcoxon"] / 400 <= 0.08
    assert 0.03 <= found["sign flip"] / 400 <= 0.08


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_procedure(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected, remaining = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
        for step, index in enumerate(remaining):
            if p_values[index] * (len(p_values) - step) > alpha:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize(
    ("queries", "discordance"), [(1000, 0.15), (1000, 0.3), (5000, 0.1), (120, 0.01), (670, 0.0)]
)
def test_the_resolvable_difference_is_found_in_80_percent(queries: int, discordance: float) -> None:
    difference = resolvable_share(round(discordance * queries), queries)
    assert difference is not None
    discordance = max(discordance, difference)
    random, found = np.random.default_rng(5), 0
    chances = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    for wins_first, wins_second, _ in random.multinomial(queries, chances, size=2000):
        found += mcnemar(int(wins_first), int(wins_second)).two_sided < 0.05
    assert 0.775 <= found / 2000 <= 0.825


def test_the_resolvable_difference_is_near_the_textbooks_for_many_queries() -> None:
    found = resolvable_share(20_000, 100_000)
    assert found == pytest.approx((1.95996 + 0.84162) * (0.2 / 100_000) ** 0.5, rel=0.02)


def test_more_queries_resolve_less_and_five_resolve_nothing() -> None:
    found = [resolvable_share(queries // 10, queries) for queries in (20, 100, 1000, 10_000)]
    assert found == sorted(found, key=lambda share: -(share or 0))
    assert resolvable_share(0, 5) is None
    assert resolvable_share(0, 6) == pytest.approx(1.0, abs=0.05)
    assert resolvable_difference(0.0) is None
    assert resolvable_difference(1.0) == pytest.approx(1.95996 + 0.84162, rel=1e-5)


@given(st.integers(0, 30), st.integers(0, 30))
def test_one_sided_mcnemar_is_the_upper_tail_of_the_first_runs_wins(first: int, second: int) -> None:
    n = first + second
    tail = sum(math.comb(n, k) for k in range(first, n + 1)) / 2**n
    assert mcnemar(first, second).worse == pytest.approx(tail, rel=1e-9)


def test_signed_ranks_by_hand() -> None:
    assert signed_ranks(np.array([0.0, -3, 1, 3, 9])).tolist() == [0, -2.5, 1, 2.5, 4]


def test_the_worse_run_has_the_small_one_sided_p() -> None:
    gains = np.array([-1.0, -2, -3, -4, -5, -6, -7, -8])
    assert sign_flip(gains).worse == pytest.approx(2**-8, abs=0.003)
    assert sign_flip(-gains).worse == 1.0
    assert wilcoxon(gains).worse == pytest.approx(2**-8)
    assert mcnemar(8, 0).worse == pytest.approx(2**-8)


@pytest.mark.parametrize("queries", [24, 100])
@pytest.mark.parametrize("videos", [False, True])
def test_runs_that_differ_by_chance_alone_are_called_worse_in_at_most_5_percent(
    queries: int, videos: bool
) -> None:
    assert found_share("MnR", EQUAL, queries, 400, captions=5 if videos else 1) <= 0.05 + 2.5 * 0.011


def test_a_worse_mean_is_found_though_most_queries_are_better() -> None:
    assert found_share("MnR", LOST, 1000, 100) > 0.9
    assert found_share("MdR", LOST, 1000, 100) < 0.05
    assert found_share("MnR", SHIFTED, 1000, 100) > 0.8
