"""The block engine against the whole matrix: the same scores, counts and ties, whatever the sizes."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import distinct, rank, save_matrix
from xbench.engine.units import Queries
from xbench.errors import ModelError
from xbench.metrics.ranking import Counts, t2v_counts, v2t_counts


class DotScorer:
    """Integer dot products: exact in any block shape, with many ties."""

    name = "dot"
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, block: tuple[int, int]) -> None:
        self.block = block
        self.calls: list[tuple[int, int]] = []

    def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
        scores = text["x"] @ video["x"].T
        self.calls.append(tuple(scores.shape))  # type: ignore[arg-type]
        return scores


def table(x: torch.Tensor, shard: int) -> FeatureTable:
    return FeatureTable([{"x": piece} for piece in x.split(shard)])


def assert_equal(got: Counts, expected: Counts) -> None:
    assert got.better.tolist() == expected.better.tolist()
    assert got.tied.tolist() == expected.tied.tolist()
    np.testing.assert_array_equal(got.right, expected.right)
    assert got.nan_rivals.tolist() == expected.nan_rivals.tolist()
    assert got.nonfinite == expected.nonfinite


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_streamed_counts_equal_those_of_the_whole_matrix(data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    videos = data.draw(st.integers(1, 23))
    per_video = data.draw(st.lists(st.integers(1, 4), min_size=videos, max_size=videos))
    owner = np.repeat(np.arange(videos), per_video).astype(np.int64)
    if data.draw(st.booleans()):
        owner = owner[torch.randperm(len(owner), generator=generator).numpy()]
    words = data.draw(st.integers(1, len(owner)))
    captions = [f"caption {i}" for i in torch.randint(words, (len(owner),), generator=generator).tolist()]
    texts, rows = distinct(captions, owner)
    text = torch.randint(-2, 3, (len(texts), 3), generator=generator).float()
    video = torch.randint(-2, 3, (videos, 3), generator=generator).float()
    if data.draw(st.booleans()):
        video[0] = torch.nan
    block = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rule = data.draw(st.sampled_from(["group-max", "any-caption"]))

    memory = data.draw(st.sampled_from([0, 100, 1000, 1 << 30]))

    scorer = DotScorer(block)
    queries = Queries(rows, owner)
    t2v, v2t = rank(scorer, table(text, 5), table(video, 2), queries, rule, memory=memory)  # type: ignore[arg-type]

    matrix = (text @ video.T)[torch.from_numpy(rows)]
    assert_equal(t2v, t2v_counts(matrix, owner))
    assert_equal(v2t, v2t_counts(matrix, owner, rule))
    scored = sum(height * width for height, width in scorer.calls)
    if memory == 1 << 30:
        assert scored <= len(texts) * videos + 100  # each pair once, a few dozen again: see `contract`
    else:
        assert len(texts) * videos <= scored  # what the memory did not hold is scored again


def test_equal_captions_tie_exactly_in_floating_point() -> None:
    captions = ["a", "b", "a", "c", "a"]
    texts, rows = distinct(captions, np.arange(5))
    assert texts == ["a", "b", "c"]
    generator = torch.Generator().manual_seed(0)
    text, video = torch.randn(3, 64, generator=generator), torch.randn(5, 64, generator=generator)
    owner = np.arange(5)
    _, v2t = rank(DotScorer((2, 2)), table(text, 2), table(video, 2), Queries(rows, owner), "group-max")  # type: ignore[arg-type]
    assert v2t.tied.tolist() == [2, 0, 2, 0, 2]


def test_the_saved_matrix_is_the_one_that_was_ranked(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    text, video = torch.randn(7, 16, generator=generator), torch.randn(6, 16, generator=generator)
    queries = Queries(np.array([0, 1, 2, 3, 4, 5, 6, 0]), np.array([0, 1, 2, 3, 4, 5, 0, 1]))
    with save_matrix(tmp_path / "sim.npy", 8, 6) as on_scores:
        t2v, v2t = rank(
            DotScorer((3, 4)),  # type: ignore[arg-type]
            table(text, 4),
            table(video, 1),
            queries,
            "group-max",
            on_scores=on_scores,
        )
        assert not (tmp_path / "sim.npy").exists()
    matrix = np.load(tmp_path / "sim.npy")
    assert matrix.shape == (8, 6)
    assert_equal(t2v, t2v_counts(matrix, queries.video))
    assert_equal(v2t, v2t_counts(matrix, queries.video, "group-max"))


def test_a_run_that_fails_leaves_no_matrix_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), save_matrix(tmp_path / "sim.npy", 2, 2):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_scores_are_the_same_to_the_bit_whatever_the_memory() -> None:
    generator = torch.Generator().manual_seed(3)
    text, video = torch.randn(37, 33, generator=generator), torch.randn(29, 33, generator=generator)
    queries = Queries(np.arange(37), np.arange(37) % 29)
    matrices = []
    for memory in (0, 2000, 1 << 30):
        seen = torch.full((37, 29), torch.nan)

        def on_scores(rows: Any, columns: slice, scores: torch.Tensor, seen: torch.Tensor = seen) -> None:
            seen[torch.from_numpy(rows), columns] = scores

        rank(
            DotScorer((5, 4)),  # type: ignore[arg-type]
            table(text, 6),
            table(video, 1),
            queries,
            "group-max",
            memory=memory,
            on_scores=on_scores,
        )
        matrices.append(seen)
    assert torch.equal(matrices[0], matrices[1])
    assert torch.equal(matrices[0], matrices[2])


def test_few_tiles_hold_right_pairs_however_the_captions_are_ordered() -> None:
    owners = np.random.default_rng(0).permutation(np.repeat(np.arange(100), 3))
    texts, rows = distinct([f"caption {index}" for index in range(300)], owners)
    tiles = set(zip((rows // 10).tolist(), (owners // 10).tolist(), strict=True))
    assert len(texts) == 300
    assert len(tiles) == 30


def test_the_block_shape_does_not_depend_on_how_features_are_sharded() -> None:
    text, video = torch.ones(10, 2), torch.ones(10, 2)
    queries = Queries(np.arange(10), np.arange(10))
    calls = []
    for shard in (1, 3, 10):
        scorer = DotScorer((4, 3))
        rank(scorer, table(text, shard), table(video, shard), queries, "group-max")  # type: ignore[arg-type]
        calls.append(scorer.calls)
    assert calls[0] == calls[1] == calls[2]


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_a_scorer_that_returns_another_shape_is_named(shape: tuple[int, ...]) -> None:
    class Wrong(DotScorer):
        def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.zeros(shape)

    with pytest.raises(ModelError, match="shape"):
        rank(
            Wrong((4, 4)),  # type: ignore[arg-type]
            table(torch.ones(4, 2), 4),
            table(torch.ones(4, 2), 4),
            Queries(np.arange(4), np.arange(4)),
            "group-max",
        )
