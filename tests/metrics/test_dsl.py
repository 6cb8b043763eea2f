"""Dual softmax against its formula on the whole matrix, in tiles of any shape and order."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from xbench.errors import DataError, UsageError
from xbench.metrics import ranking
from xbench.metrics.dsl import DualSoftmax, dsl_counts
from xbench.metrics.intervals import summarise
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.terms import V2TRule


def naive(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = similarity.astype(np.float64)
    return scores * softmax(scores, axis=0), scores * softmax(scores, axis=1)


def logits(size: int, seed: int = 0, scale: float = 8.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    similarity = scale * random.standard_normal((size, size)) + 20
    return (similarity + np.eye(size) * scale).astype(np.float32)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_tiles_of_any_shape_and_order_give_the_whole_matrix(
    height: int, width: int, seed: int, as_tensor: bool
) -> None:
    matrix = logits(9, seed)
    tiles = [
        (slice(top, top + height), slice(left, left + width))
        for top in range(0, 9, height)
        for left in range(0, 9, width)
    ]
    np.random.default_rng(seed).shuffle(tiles)
    given_as: Any = torch.from_numpy(matrix) if as_tensor else matrix
    streamed = DualSoftmax(9, 9)
    for rows, columns in tiles:
        streamed.add(given_as[rows, columns], rows, columns)
    t2v, v2t = naive(matrix)
    for rows, columns in tiles:
        tile = given_as[rows, columns]
        assert streamed.t2v(tile, columns) == pytest.approx(t2v[rows, columns], rel=1e-12)
        assert streamed.v2t(tile, rows) == pytest.approx(v2t[rows, columns], rel=1e-12)


@given(st.integers(1, 40), st.integers(0, 9))
def test_a_score_is_reweighted_to_the_same_bit_whatever_its_tile(size: int, seed: int) -> None:
    matrix = logits(size, seed)
    streamed = DualSoftmax(size, size)
    streamed.add(matrix, slice(0, size), slice(0, size))
    whole = streamed.t2v(matrix, slice(0, size))
    for column in range(0, size, 3):
        columns = slice(column, min(column + 3, size))
        strip = streamed.t2v(matrix[size // 3 :, columns], columns)
        assert np.array_equal(strip, whole[size // 3 :, columns])


@pytest.mark.parametrize("chunk", [3, 50, 1 << 22])
def test_counts_are_those_of_the_two_reweighted_matrices(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, owner = logits(30), np.arange(30)
    t2v, v2t = naive(matrix)
    monkeypatch.setattr(ranking, "_CHUNK", chunk)
    found = dsl_counts(matrix, owner)
    assert found[0].better.tolist() == t2v_counts(t2v, owner).better.tolist()
    assert found[1].better.tolist() == v2t_counts(v2t, owner).better.tolist()


def test_captions_in_another_order_than_their_videos_rank_the_same() -> None:
    matrix, order = logits(20), np.random.default_rng(3).permutation(20)
    straight, mixed = dsl_counts(matrix, np.arange(20)), dsl_counts(matrix[order], order)
    assert mixed[0].better.tolist() == straight[0].better[order].tolist()
    assert mixed[1].better.tolist() == straight[1].better.tolist()


def test_it_helps_where_a_hub_video_attracts_every_caption() -> None:
    matrix = np.eye(30, dtype=np.float32) * 5 + 20
    matrix[:, 0] += 6
    assert summarise(t2v_counts(matrix, np.arange(30))).values != {}
    assert (t2v_counts(matrix, np.arange(30)).better > 0).sum() == 29
    assert (dsl_counts(matrix, np.arange(30))[0].better > 0).sum() == 0


def test_large_logits_neither_overflow_nor_vanish() -> None:
    found = dsl_counts(logits(20, scale=60) + 200, np.arange(20))
    assert found[0].nonfinite == found[1].nonfinite == 0


@pytest.mark.parametrize("owner", [[0, 0, 1, 1], [0, 1, 2, 2], [0, 0, 1, 2]])
def test_several_captions_per_video_are_refused(owner: list[int]) -> None:
    with pytest.raises(UsageError, match="each video belongs to exactly one caption"):
        dsl_counts(np.zeros((4, max(owner) + 1), dtype=np.float32), np.array(owner))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_counted_not_hidden(bad: float) -> None:
    matrix = logits(6)
    matrix[2, 3] = bad
    t2v, v2t = dsl_counts(matrix, np.arange(6))
    assert t2v.nonfinite > 0
    assert v2t.nonfinite > 0
    with pytest.raises(DataError, match="NaN or infinite"):
        summarise(t2v)


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
def test_several_captions_of_a_video_are_reweighted_when_forced(rule: V2TRule) -> None:
    random, owner = np.random.default_rng(5), np.repeat(np.arange(10), 3)
    matrix = (6 * random.standard_normal((30, 10))).astype(np.float32)
    with pytest.raises(UsageError, match="--force"):
        dsl_counts(matrix, owner)
    t2v, v2t = naive(matrix)
    found = dsl_counts(matrix, owner, rule, force=True)
    assert found[0].better.tolist() == t2v_counts(t2v, owner).better.tolist()
    assert found[1].better.tolist() == v2t_counts(v2t, owner, rule).better.tolist()
