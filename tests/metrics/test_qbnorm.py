"""QB-Norm against the authors' rule spelt out on whole matrices; strips, hubs and what it leaves alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.errors import DataError
from xbench.metrics.qbnorm import BETA, QueryBank, qbnorm_t2v_counts
from xbench.metrics.ranking import t2v_counts


def cosines(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.6, (rows, columns))


def naive(bank: np.ndarray, similarity: np.ndarray, beta: float, k: int) -> np.ndarray:
    """The rule on whole matrices with its exponentials, row by row."""
    retrieved = {int(video) for row in bank for video in np.argsort(-row)[:k]}
    sums = [sum(np.exp(beta * row[video]) for row in bank) for video in range(bank.shape[1])]
    normalised = similarity.copy()
    for row, scores in enumerate(similarity):
        if int(np.argmax(scores)) in retrieved:
            normalised[row] = [
                np.exp(beta * score) / total for score, total in zip(scores, sums, strict=True)
            ]
    return normalised


def banked(bank: np.ndarray, width: int) -> QueryBank:
    found = QueryBank(*bank.shape)
    for start in range(0, bank.shape[1], width):
        columns = slice(start, min(start + width, bank.shape[1]))
        found.add(bank[:, columns], columns)
    return found


@given(st.integers(1, 12), st.integers(2, 9), st.integers(1, 9), st.integers(0, 999))
def test_ranks_are_those_of_the_authors_rule_whatever_the_strips(
    captions: int, videos: int, width: int, seed: int
) -> None:
    bank, similarity = cosines(captions, videos, seed), cosines(8, videos, seed + 1)
    owner = np.arange(8) % videos
    found = qbnorm_t2v_counts(similarity, owner, banked(bank, width))
    expected = t2v_counts(naive(bank, similarity, beta=20.0, k=1), owner)
    assert found.better.tolist() == expected.better.tolist()
    assert found.tied.tolist() == expected.tied.tolist()


def test_the_constants_are_the_authors() -> None:
    assert BETA == 20.0


def test_a_hub_loses_and_a_caption_whose_best_video_is_no_hub_keeps_its_scores() -> None:
    bank = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]])
    similarity = np.array([[0.5, 0.45, 0.0], [0.1, 0.5, 0.4]])
    normalised = banked(bank, 3).t2v(similarity)
    assert normalised[0].argmax() != 0
    assert normalised[1].tolist() == similarity[1].tolist()


def test_large_logits_do_not_overflow() -> None:
    bank, similarity = 100 * cosines(5, 4, 0), 100 * cosines(6, 4, 1)
    assert np.isfinite(banked(bank, 2).t2v(similarity)).all()


def test_scores_of_the_bank_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="NaN or infinite"):
        banked(np.array([[0.1, np.nan]]), 2)
