"""The mean rank against guesses: the formula, its error rates, and what a wrong order looks like."""

import numpy as np
import pytest

from xbench.metrics.chance import STANDARD_ERRORS, AgainstChance, against_chance
from xbench.metrics.ranking import t2v_counts

VIDEOS = 60
OWNERS = np.repeat(np.arange(VIDEOS), 3)


def scores(seed: int, signal: float, owners: np.ndarray = OWNERS) -> np.ndarray:
    """A model that knows a little, with hubs: some videos are close to every caption."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(len(owners), VIDEOS)) + 0.5 * random.normal(size=VIDEOS)
    return noise + signal * (owners[:, None] == np.arange(VIDEOS))


def standing(matrix: np.ndarray, owners: np.ndarray = OWNERS) -> str:
    return against_chance(t2v_counts(matrix, owners), owners, matrix.shape[1]).standing


def test_every_video_counts_once_whatever_its_captions() -> None:
    owners = np.array([0, 0, 0, 1])
    matrix = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])  # ranks 1, 1, 2 and 2
    found = against_chance(t2v_counts(matrix, owners), owners, 2)
    assert found.mean_rank == pytest.approx(((1 + 1 + 2) / 3 + 2) / 2)


@pytest.mark.parametrize("videos", [20, 1000])
def test_expectation_and_error_are_those_of_uniform_ranks(videos: int) -> None:
    ranks = np.random.default_rng(0).integers(1, videos + 1, size=(4000, videos)).mean(axis=1)
    found = AgainstChance(0.0, videos)
    assert ranks.mean() == pytest.approx(found.expected, rel=0.01)
    assert ranks.std() == pytest.approx(found.standard_error, rel=0.05)


def test_equal_scores_are_chance() -> None:
    found = against_chance(
        t2v_counts(np.zeros((VIDEOS, VIDEOS)), np.arange(VIDEOS)), np.arange(VIDEOS), VIDEOS
    )
    assert found.mean_rank == found.expected
    assert found.standing == "chance"


@pytest.mark.parametrize("seed", range(20))
def test_a_random_order_of_either_axis_is_never_taken_for_knowledge(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix = scores(seed, 4.0)
    assert standing(matrix) == "better"
    assert standing(-matrix) == "worse"
    assert standing(matrix[random.permutation(len(OWNERS))]) == "chance"
    assert standing(matrix[:, random.permutation(VIDEOS)]) == "chance"


@pytest.mark.parametrize("seed", range(5))
def test_permuting_rows_columns_and_owners_together_changes_nothing(seed: int) -> None:
    random, matrix = np.random.default_rng(seed), scores(seed, 1.0)
    rows, columns = random.permutation(len(OWNERS)), random.permutation(VIDEOS)
    owners = np.argsort(columns)[OWNERS[rows]]
    found = against_chance(t2v_counts(matrix[rows][:, columns], owners), owners, VIDEOS)
    expected = against_chance(t2v_counts(matrix, OWNERS), OWNERS, VIDEOS)
    assert found.mean_rank == pytest.approx(expected.mean_rank)


def test_too_few_videos_tell_nothing() -> None:
    assert standing(np.eye(19), np.arange(19)) == "too few"
    assert standing(np.eye(20), np.arange(20)) == "better"
    assert STANDARD_ERRORS == 4
