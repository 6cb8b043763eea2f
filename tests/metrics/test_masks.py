"""Comparing rows with their limits against one comparison at a time, in any memory order and cut anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.metrics import counts as masks
from xbench.metrics.counts import compare_rows

VALUES = np.array([-1.0, 0.0, -0.0, 0.5, 2.0], np.float32)


def naive(scores: np.ndarray, limits: np.ndarray) -> tuple[list[int], list[int], bool]:
    rows = list(zip(scores.tolist(), limits.tolist(), strict=True))
    above = [sum(score > limit for score in row) for row, limit in rows]
    equal = [sum(score == limit for score in row) for row, limit in rows]
    return above, equal, all(np.isfinite(score) for row in scores.tolist() for score in row)


def laid_out(scores: np.ndarray, order: str) -> np.ndarray:
    """The same matrix in another memory order, or as a part of a larger one."""
    if order in ("C", "F"):
        return np.asarray(scores, order=order)  # type: ignore[call-overload,no-any-return]
    wider = np.pad(scores, ((0, 3), (0, 5)))
    wider = wider if order == "strip" else np.asfortranarray(wider)
    return wider[: scores.shape[0], : scores.shape[1]]


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    order=st.sampled_from(["C", "F", "strip", "strip of columns"]),
    limits=st.tuples(st.sampled_from([1, 7, 64, 1 << 19]), st.sampled_from([0, 1 << 22])),
    spoiled=st.sampled_from([0.0, np.nan, np.inf, -np.inf]),
    seed=st.integers(0, 999),
)
@settings(max_examples=200)
def test_counts_equal_the_naive_ones(
    shape: tuple[int, int], order: str, limits: tuple[int, int], spoiled: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores, own = random.choice(VALUES, shape), random.choice(VALUES, shape[0])
    scores[random.integers(shape[0]), random.integers(shape[1])] = spoiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "_BLOCK", limits[0])
        patch.setattr(masks, "_ALONE", limits[1])
        above, equal, finite = compare_rows(laid_out(scores, order), own)
    assert (above.tolist(), equal.tolist(), finite) == naive(scores, own)


@pytest.mark.parametrize("shape", [(3, 1024), (1024, 3), (700, 700), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_no_sum_overflows_where_every_entry_counts(shape: tuple[int, int], order: str) -> None:
    scores = np.ones(shape, np.float32, order=order)  # type: ignore[call-overload]
    above, equal, _ = compare_rows(scores, np.zeros(shape[0], np.float32))
    assert above.tolist() == [shape[1]] * shape[0]
    assert equal.tolist() == [0] * shape[0]
    _, equal, _ = compare_rows(scores, np.ones(shape[0], np.float32))
    assert equal.tolist() == [shape[1]] * shape[0]
