"""Counting against a naive oracle: whole, in shards, as tensors; with ties, NaN and both v2t rules."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xbench.errors import DataError, ModelError
from xbench.metrics import counts, ranking
from xbench.metrics.ranking import (
    CaptionGroups,
    Counts,
    Tally,
    count_block,
    t2v_counts,
    v2t_counts,
    v2t_strip_counts,
)

SCORES = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf])


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A small matrix full of ties, NaN and infinities, captions in any order, some videos without any."""
    captions, videos = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    matrix = draw(hnp.arrays(np.float32, (captions, videos), elements=SCORES))
    owner = draw(hnp.arrays(np.int64, captions, elements=st.integers(0, videos - 1)))
    return matrix, owner


def naive_count(right: float, rivals: list[float]) -> tuple[int, int, int]:
    better = sum(1 for rival in rivals if rival > right)
    tied = sum(1 for rival in rivals if rival == right)
    return better, tied, sum(1 for rival in rivals if np.isnan(rival))


def naive_t2v(matrix: np.ndarray, owner: np.ndarray) -> list[tuple[int, int, int]]:
    return [
        naive_count(row[own], [score for video, score in enumerate(row) if video != own])
        for row, own in zip(matrix.tolist(), owner.tolist(), strict=True)
    ]


def naive_best(scores: list[float]) -> float:
    known = [score for score in scores if not np.isnan(score)]
    return max(known) if known else float("nan")


def naive_v2t(matrix: np.ndarray, owner: np.ndarray, rule: str) -> list[tuple[int, int]]:
    found = []
    for video in sorted(set(owner.tolist())):
        column = matrix[:, video].tolist()
        right = naive_best([s for s, o in zip(column, owner, strict=True) if o == video])
        others = sorted(set(owner.tolist()) - {video})
        grouped = [[s for s, o in zip(column, owner, strict=True) if o == other] for other in others]
        rivals = [naive_best(g) for g in grouped] if rule == "group-max" else [s for g in grouped for s in g]
        if rule == "group-max" and len(set(owner.tolist())) < len(owner):
            rivals = [-np.inf if np.isnan(rival) else rival for rival in rivals]
            right = -np.inf if np.isnan(right) else right
        found.append(naive_count(right, rivals)[:2])
    return found


def pairs(counts: Counts) -> list[tuple[int, int]]:
    return list(zip(counts.better.tolist(), counts.tied.tolist(), strict=True))


def triples(counts: Counts) -> list[tuple[int, int, int]]:
    return [(*pair, nan) for pair, nan in zip(pairs(counts), counts.nan_rivals.tolist(), strict=True)]


def same(first: Counts, second: Counts) -> bool:
    return (
        triples(first) == triples(second)
        and np.array_equal(first.right, second.right, equal_nan=True)
        and first.nonfinite == second.nonfinite
    )


@given(problems())
def test_text_to_video_counts_equal_the_naive_ones(problem: tuple[np.ndarray, np.ndarray]) -> None:
    counts = t2v_counts(*problem)
    assert triples(counts) == naive_t2v(*problem)
    assert counts.nonfinite == np.sum(~np.isfinite(problem[0]))
    assert np.array_equal(counts.right, problem[0][np.arange(len(problem[1])), problem[1]], equal_nan=True)


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
@given(problem=problems())
def test_video_to_text_counts_equal_the_naive_ones(problem: tuple[np.ndarray, np.ndarray], rule: Any) -> None:
    assert pairs(v2t_counts(*problem, rule)) == naive_v2t(*problem, rule)


@pytest.fixture(params=["on the CPU", "as on an accelerator"])
def placed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the code for tensors that stay tensors too, which otherwise needs a GPU."""
    if request.param != "on the CPU":
        monkeypatch.setattr(counts, "on_accelerator", lambda scores: True)


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
@pytest.mark.usefixtures("placed")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=problems())
def test_tensors_count_as_arrays_do(problem: tuple[np.ndarray, np.ndarray], rule: Any) -> None:
    matrix, owner = problem
    tensor = torch.from_numpy(matrix)
    assert same(t2v_counts(tensor, owner), t2v_counts(matrix, owner))
    assert same(v2t_counts(tensor, owner, rule), v2t_counts(matrix, owner, rule))


@pytest.mark.usefixtures("placed")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problems(), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_tally_over_tiles_equals_the_whole_matrix(
    problem: tuple[np.ndarray, np.ndarray], rows: int, columns: int, as_tensor: bool
) -> None:
    matrix, owner = problem
    scores: Any = torch.from_numpy(matrix) if as_tensor else matrix
    index: Any = torch.from_numpy(owner) if as_tensor else owner
    tally = Tally(scores[np.arange(len(owner)), owner])
    for top in range(0, matrix.shape[0], rows):
        for left in range(0, matrix.shape[1], columns):
            own = index[top : top + rows]
            here = (own >= left) & (own < left + columns)
            tally.add(
                scores[top : top + rows, left : left + columns],
                (own - left) * here - 1 * ~here,
                slice(top, top + rows),
            )
    assert same(tally.counts(), t2v_counts(matrix, owner))


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
@given(problem=problems(), width=st.integers(1, 4))
def test_strips_of_videos_join_to_the_whole_matrix(
    problem: tuple[np.ndarray, np.ndarray], width: int, rule: Any
) -> None:
    matrix, owner = problem
    groups = CaptionGroups(owner)
    parts = [
        v2t_strip_counts(matrix[:, a : a + width], np.arange(matrix.shape[1])[a : a + width], groups, rule)
        for a in range(0, matrix.shape[1], width)
    ]
    joined, whole = Counts.concatenate(parts), v2t_counts(matrix, owner, rule)
    assert pairs(joined) == pairs(whole)
    assert joined.nan_rivals.tolist() == whole.nan_rivals.tolist()


@settings(max_examples=30)
@given(problems(), st.integers(1, 8))
def test_the_chunk_size_changes_nothing(problem: tuple[np.ndarray, np.ndarray], chunk: int) -> None:
    whole = t2v_counts(*problem), v2t_counts(*problem), v2t_counts(*problem, "any-caption")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_CHUNK", chunk)
        small = t2v_counts(*problem), v2t_counts(*problem), v2t_counts(*problem, "any-caption")
    assert all(same(a, b) for a, b in zip(whole, small, strict=True))


@given(problems(), st.randoms(use_true_random=False))
def test_ranks_are_permutation_equivariant(problem: tuple[np.ndarray, np.ndarray], random: Any) -> None:
    matrix, owner = problem
    captions, videos = list(range(matrix.shape[0])), list(range(matrix.shape[1]))
    random.shuffle(captions)
    random.shuffle(videos)
    moved = np.argsort(videos)[owner[captions]]
    shuffled = t2v_counts(matrix[np.ix_(captions, videos)], moved)
    assert triples(shuffled) == [triples(t2v_counts(matrix, owner))[c] for c in captions]


def test_signed_zeros_tie() -> None:
    assert pairs(count_block(np.array([[0.0, -0.0]], dtype=np.float32), np.array([0]))) == [(0, 1)]


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(problem=problems())
def test_integer_scores_count_as_the_same_floats_do(
    problem: tuple[np.ndarray, np.ndarray], rule: Any, dtype: str
) -> None:
    matrix, owner = np.nan_to_num(problem[0], posinf=100, neginf=-100), problem[1]
    matrix = (np.maximum(matrix, 0) if dtype == "uint8" else matrix).astype(dtype)
    for scores in (matrix, torch.from_numpy(matrix)):
        assert triples(t2v_counts(scores, owner)) == naive_t2v(matrix, owner)
        assert pairs(v2t_counts(scores, owner, rule)) == naive_v2t(matrix, owner, rule)


@pytest.mark.usefixtures("placed")
def test_half_precision_counts_in_its_own_precision() -> None:
    matrix = np.array([[1.0, 1.0004], [3.0, 2.0]])
    assert pairs(t2v_counts(matrix, np.arange(2)))[0] == (1, 0)
    assert pairs(t2v_counts(matrix.astype(np.float16), np.arange(2)))[0] == (0, 1)
    assert t2v_counts(matrix.astype(np.float16), np.arange(2)).right.dtype == np.float32
    bfloat = torch.tensor(matrix, dtype=torch.bfloat16)
    assert pairs(t2v_counts(bfloat, np.arange(2)))[0] == (0, 1)
    assert t2v_counts(bfloat, np.arange(2)).right.dtype == np.float32


def test_videos_without_a_caption_are_rivals_but_no_queries() -> None:
    matrix = np.array([[1.0, 5.0, 2.0]], dtype=np.float32)
    assert pairs(t2v_counts(matrix, np.array([0]))) == [(2, 0)]
    assert pairs(v2t_counts(matrix, np.array([0]))) == [(0, 0)]


def test_a_right_score_that_differs_from_its_tile_is_refused() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    tally = Tally(np.array([1.0, np.nextafter(np.float32(4.0), np.float32(5.0))], dtype=np.float32))
    tally.add(scores, np.array([0, 1]))
    with pytest.raises(ModelError, match=r"^1 pairs of a caption and its video were scored twice"):
        tally.counts()


@pytest.mark.parametrize("count", [t2v_counts, v2t_counts])
@pytest.mark.parametrize(
    ("shape", "owner", "message"),
    [
        ((2, 2), [0, 1, 1], "2 rows and there are 3 captions"),
        ((3, 2), [0, 1], "3 rows and there are 2 captions"),
        ((2, 2), [0, 2], "2 columns, but captions belong to videos 0 to 2"),
        ((2, 2), [-1, 0], "captions belong to videos -1 to 0"),
        ((0, 2), [], "0 rows and there are 0 captions"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(
    count: Any, shape: tuple[int, int], owner: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        count(np.zeros(shape, dtype=np.float32), np.array(owner, dtype=np.int64))
