"""Top lists, hubs and the small picture of a matrix against naive loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew

from xbench.metrics import ranking
from xbench.metrics.neighbours import downsample, hubness, top_columns


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14), st.integers(0, 99), st.integers(1, 30))
def test_top_columns_are_those_of_a_full_sort(rows: int, columns: int, k: int, seed: int, chunk: int) -> None:
    matrix = np.round(np.random.default_rng(seed).standard_normal((rows, columns)), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_CHUNK", chunk)
        found = top_columns(matrix, k)
    assert found.shape == (rows, min(k, columns))
    for row, top in zip(matrix, found, strict=True):
        assert row[top].tolist() == sorted(row.tolist(), reverse=True)[:k]
        assert len(set(top.tolist())) == len(top)


@given(st.integers(1, 30), st.integers(2, 9), st.integers(0, 9))
def test_hubness_counts_in_how_many_lists_an_item_stands(queries: int, items: int, seed: int) -> None:
    top = top_columns(np.random.default_rng(seed).standard_normal((queries, items)), 2)
    found = hubness(top, items)
    assert found.occurrences.tolist() == [sum(item in row for row in top.tolist()) for item in range(items)]
    assert found.expected == pytest.approx(2 * queries / items)
    assert found.never == sum(count == 0 for count in found.occurrences)
    if len(set(found.occurrences.tolist())) > 1:
        assert found.skewness == pytest.approx(skew(found.occurrences))
    else:
        assert found.skewness == 0


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 25))
def test_a_downsampled_matrix_holds_the_means_of_its_rectangles(rows: int, columns: int, size: int) -> None:
    matrix = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    found = downsample(matrix, size)
    assert found.shape == (min(size, rows), min(size, columns))
    edges = [np.linspace(0, n, min(size, n) + 1).astype(int) for n in (rows, columns)]
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            block = matrix[edges[0][i] : edges[0][i + 1], edges[1][j] : edges[1][j + 1]]
            assert found[i, j] == pytest.approx(block.mean(), rel=1e-6)
