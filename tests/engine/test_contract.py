"""A scorer keeps its contract while it runs: cheating similarities are caught, honest arithmetic is not."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from xbench.engine.encoding import FeatureTable
from xbench.engine.grid import choose_probes
from xbench.engine.similarity import rank
from xbench.engine.units import Queries
from xbench.errors import ModelError

BLOCK = (512, 256)
Cheat = Callable[[torch.Tensor], torch.Tensor]


class Cosine:
    """Cosines times 100, computed in a type, passed through what a cheater does to a block."""

    name = "cosine"
    identity = None
    block = BLOCK

    def __init__(
        self, cheat: Callable[[torch.Tensor], torch.Tensor] = lambda scores: scores, **more: Any
    ) -> None:
        self._cheat, self._dtype = cheat, more.pop("dtype", torch.float32)
        self.settings = more
        self.calls: list[tuple[int, ...]] = []

    def similarity(self, text: Any, video: Any) -> torch.Tensor:
        texts, videos = text["v"].to(self._dtype), video["v"].to(self._dtype)
        scores = self._cheat(100 * (texts @ videos.T))
        self.calls.append(tuple(scores.shape))
        return scores


def unit(items: int, seed: int) -> torch.Tensor:
    vectors = torch.randn(items, 64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=1)


def run(scorer: Any, items: int, signal: float = 1.0, texts: int | None = None) -> None:
    videos = unit(items, 1)
    owners = np.arange(texts or items) % items
    captions = torch.nn.functional.normalize(signal * videos[owners] + unit(len(owners), 2), dim=1)
    tables = FeatureTable([{"v": captions}]), FeatureTable([{"v": videos}])
    rank(scorer, *tables, Queries(np.arange(len(owners)), owners), "group-max")


def top(most: int, dim: int = 1) -> Cheat:
    def cheat(scores: torch.Tensor) -> torch.Tensor:
        if scores.shape[dim] <= most:
            return scores
        limit = scores.topk(most, dim=dim).values.select(dim, most - 1).unsqueeze(dim)
        return scores.masked_fill(scores < limit, -100.0)

    return cheat


TIMES = itertools.count()
CHEATS: dict[str, Cheat] = {
    "softmax over videos": lambda scores: scores.softmax(dim=1),
    "softmax over texts": lambda scores: scores.softmax(dim=0),
    "softmax at temperature 1": lambda scores: (scores / 100).softmax(dim=1),
    "log softmax": lambda scores: scores.log_softmax(dim=1),
    "dual softmax": lambda scores: scores * scores.softmax(dim=0),
    "dual softmax, soft": lambda scores: scores * (scores / 20).softmax(dim=0),
    "centred": lambda scores: scores - scores.mean(dim=0),
    "standardised": lambda scores: (scores - scores.mean()) / (scores.std(correction=0) + 1e-6),
    "top 1 of a text": top(1),
    "top 1 of a video": top(1, 0),
    "rank": lambda scores: scores.argsort(dim=1).argsort(dim=1).float(),
    "by place": lambda scores: scores + torch.arange(scores.shape[1]),
    "another every time": lambda scores: scores + next(TIMES),
}


ASKED = [(cheat, items) for cheat in CHEATS for items in (2, 5, 20, 300, 2000)]
ASKED.remove(("rank", 2))  # one pair of the four is scored again, and its rank is 0 in both blocks


@pytest.mark.parametrize(("cheat", "items"), ASKED)
def test_a_similarity_that_looks_at_other_items_is_caught(cheat: str, items: int) -> None:
    with pytest.raises(
        ModelError, match=r"Cosine\.similarity .*test_contract\.py, line \d+\) gives text .* own"
    ):
        run(Cosine(CHEATS[cheat]), items)


@pytest.mark.parametrize(("most", "items"), [(10, 20), (10, 2000), (100, 1000), (128, 300)])
def test_a_top_k_below_the_size_of_a_block_is_caught(most: int, items: int) -> None:
    with pytest.raises(ModelError, match="no top-k"):
        run(Cosine(top(most)), items)


@pytest.mark.parametrize("signal", [0.0, 0.5, 5.0])
def test_a_dual_softmax_is_caught_however_good_the_model_is(signal: float) -> None:
    for items in (100, 1000):
        with pytest.raises(ModelError, match="softmax over the gallery"):
            run(Cosine(CHEATS["dual softmax"]), items, signal)


@pytest.mark.parametrize("items", [1, 2, 3, 20, 257, 2000])
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        (torch.float64, {}),
        (torch.float32, {}),
        (torch.float32, {"precision": "tf32"}),
        (torch.float16, {"precision": "fp16"}),
        (torch.bfloat16, {"precision": "bf16"}),
        (torch.bfloat16, {"precision": "bfloat16-mixed"}),
    ],
)
def test_honest_arithmetic_passes_at_every_size(
    dtype: torch.dtype, precision: dict[str, str], items: int
) -> None:
    run(Cosine(dtype=dtype, **precision), items)
    run(Cosine(lambda scores: scores.float(), dtype=dtype, **precision), items, signal=0.0)
    run(Cosine(lambda scores: scores * 0, dtype=dtype, **precision), items)


def test_rounding_of_another_block_is_allowed_and_more_is_not() -> None:
    def moved(by: float) -> Cheat:
        return lambda scores: scores + by * (len(scores) < 20)  # the range of these scores is about 150

    run(Cosine(moved(0.1)), 300)
    run(Cosine(moved(1.0), precision="tf32"), 300)
    with pytest.raises(ModelError, match="rounding explains"):
        run(Cosine(moved(1.0)), 300)
    with pytest.raises(ModelError, match="its settings must tell: precision"):
        run(Cosine(moved(10.0), precision="bf16"), 300)


def test_a_tile_of_a_single_pair_is_judged_by_the_range_of_the_others() -> None:
    def moved(by: float) -> Cheat:
        return lambda scores: scores + by * (len(scores) == 1)

    items = BLOCK[0] + 1
    square = Cosine(moved(0.01)), Cosine(moved(10.0))
    for scorer in square:
        scorer.block = BLOCK[0], BLOCK[0]
    run(square[0], items)
    with pytest.raises(ModelError, match=f"text {items - 1} and video {items - 1} "):
        run(square[1], items)


def test_a_few_dozen_pairs_are_scored_again_in_one_small_block() -> None:
    for items in (20, 2000):
        scorer = Cosine()
        run(scorer, items)
        again = [shape for shape in scorer.calls if shape[0] <= 8 and shape[1] <= 10]
        assert len(again) == 1
        assert 25 <= again[0][0] * again[0][1] <= 80


def test_several_captions_of_a_video_are_probed_too() -> None:
    run(Cosine(), 40, texts=1200)
    with pytest.raises(ModelError, match="own"):
        run(Cosine(CHEATS["softmax over texts"]), 40, texts=1200)


def test_scores_that_are_not_finite_are_told_elsewhere() -> None:
    run(Cosine(lambda scores: scores.masked_fill(scores < 0, torch.nan)), 300)
    run(Cosine(lambda scores: scores.masked_fill(scores < 0, -torch.inf)), 300)


def test_the_same_pairs_are_chosen_every_time() -> None:
    tiles = [(row, row) for row in range(8)]
    row = np.arange(80)

    def chosen() -> dict[Any, Any]:
        return choose_probes(tiles, lambda tile: (slice(10 * tile[0], 10 * tile[0] + 10),) * 2, row, row)

    one, other = chosen(), chosen()
    assert one.keys() == other.keys()
    assert len(one) == 2
    for tile, probe in one.items():
        assert np.array_equal(probe.texts, other[tile].texts)
        assert np.array_equal(probe.videos, other[tile].videos)
        assert (len(set(probe.texts.tolist())), len(set(probe.videos.tolist()))) == (4, 5)
        assert set(probe.texts.tolist()) & set(probe.videos.tolist())
        assert set(probe.texts.tolist()) != set(probe.videos.tolist())
