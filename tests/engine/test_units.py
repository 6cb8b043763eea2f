"""Units of scoring: wherever they run and whatever was done before, the same counts."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_similarity import DotScorer, assert_equal, table

from xbench.engine.pool import Bench, InProcess
from xbench.engine.similarity import rank
from xbench.engine.units import Queries
from xbench.errors import ModelError
from xbench.metrics.counts import Counts
from xbench.metrics.ranking import t2v_counts, v2t_counts

SHAPE = (40, 30)


def problem() -> tuple[torch.Tensor, torch.Tensor, Queries]:
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(-2, 3, (SHAPE[0], 3), generator=generator).float()
    video = torch.randint(-2, 3, (SHAPE[1], 3), generator=generator).float()
    owner = np.sort(np.random.default_rng(0).integers(0, SHAPE[1], SHAPE[0]))
    return text, video, Queries(np.arange(SHAPE[0]), owner)


def ranked(scorer: DotScorer, **options: Any) -> tuple[Counts, Counts]:
    text, video, queries = problem()
    return rank(scorer, table(text, 7), table(video, 4), queries, "group-max", **options)  # type: ignore[arg-type]


class Shuffled(InProcess):
    """Carries units out in another order, as many workers would."""

    def right(self, tiles: Iterable[Any]) -> Iterator[Any]:
        return super().right(list(tiles)[::-1])

    def count(self, blocks: Iterable[Any], right: Any, *, scores: bool) -> Iterator[Any]:
        chosen = list(blocks)
        np.random.default_rng(1).shuffle(chosen)
        return super().count(chosen, right, scores=scores)


def test_counts_add_up_in_any_order() -> None:
    text, video, queries = problem()
    matrix = text @ video.T
    for memory in (0, 400, 1 << 30):
        t2v, v2t = ranked(DotScorer((4, 3)), pool=Shuffled, memory=memory)
        assert_equal(t2v, t2v_counts(matrix, queries.video))
        assert_equal(v2t, v2t_counts(matrix, queries.video, "group-max"))


class Failing(DotScorer):
    """Stops after some tiles, as a killed run does."""

    def __init__(self, block: tuple[int, int], after: int) -> None:
        super().__init__(block)
        self.after = after

    def similarity(self, text: Any, video: Any) -> torch.Tensor:
        if len(self.calls) == self.after:
            raise KeyboardInterrupt
        return super().similarity(text, video)


@pytest.mark.parametrize("after", [3, 25, 90])
def test_a_stopped_scoring_goes_on_from_its_finished_units(tmp_path: Path, after: int) -> None:
    whole = DotScorer((4, 3))
    expected = ranked(whole)
    with pytest.raises(KeyboardInterrupt):
        ranked(Failing((4, 3), after), ledger=tmp_path / "units")
    again = DotScorer((4, 3))
    seen: list[int] = []
    found = ranked(again, ledger=tmp_path / "units", on_pairs=seen.append)
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)
    assert len(again.calls) <= len(whole.calls) - after + 1
    assert sum(seen) == SHAPE[0] * SHAPE[1]


def test_no_pair_of_a_cross_encoder_is_scored_twice_even_for_the_matrix(tmp_path: Path) -> None:
    def scored(after: int) -> tuple[int, np.ndarray]:
        scorer, matrix = Failing((4, 3), after), np.zeros(SHAPE, np.float32)
        scorer.cross_encoder = True  # type: ignore[attr-defined]

        def keep(rows: Any, columns: slice, scores: torch.Tensor) -> None:
            matrix[rows, columns] = scores.numpy()

        with contextlib.suppress(KeyboardInterrupt):
            ranked(scorer, ledger=tmp_path / "units", on_scores=keep, memory=400)
        return len(scorer.calls), matrix

    tiles = 10 * 10
    assert scored(60)[0] == 60
    calls, matrix = scored(1000)
    assert calls <= tiles - 60 + 2  # the probe, and the tile that was being scored
    text, video, _ = problem()
    assert np.array_equal(matrix, (text @ video.T).numpy())


def test_a_damaged_ledger_costs_time_only(tmp_path: Path) -> None:
    expected = ranked(DotScorer((4, 3)), ledger=tmp_path / "units")
    for path in (tmp_path / "units").glob("*.pack"):
        content = bytearray(path.read_bytes())
        content[:: len(content) // 50] = bytes(len(content[:: len(content) // 50]))
        path.write_bytes(content)
    for one, other in zip(ranked(DotScorer((4, 3)), ledger=tmp_path / "units"), expected, strict=True):
        assert_equal(one, other)


def test_a_scorer_that_scores_a_right_pair_in_two_ways_is_refused() -> None:
    class Random(DotScorer):
        def similarity(self, text: Any, video: Any) -> torch.Tensor:
            return super().similarity(text, video) + 1e-5 * torch.rand(1)

    with pytest.raises(ModelError, match="scored twice"):
        ranked(Random((4, 3)), memory=0)


def test_units_are_whole_tiles_and_as_many_as_workers_need() -> None:
    benches: list[Bench] = []
    ranked(DotScorer((1, 1)), pool=lambda bench: benches.append(bench) or InProcess(bench))
    blocks = benches[0].scoring.blocks
    assert len(blocks) >= 100
    covered = {(row, column) for start, stop, column in blocks for row in range(start, stop)}
    assert len(covered) == SHAPE[0] * SHAPE[1]
    assert sum(stop - start for start, stop, _ in blocks) == len(covered)
