"""Tiles on their way from where they are scored to the blocks that are counted."""

from typing import Any

import numpy as np
import pytest
import torch
from test_similarity import DotScorer, table

from xbench.engine.grid import land
from xbench.engine.similarity import rank
from xbench.engine.units import Queries


class OneBuffer(DotScorer):
    """Writes every tile to the same memory, as kernels with a workspace do."""

    def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
        scores = super().similarity(text, video)
        if not hasattr(self, "buffer"):
            self.buffer = torch.empty(self.block[0] * self.block[1])
        return self.buffer[: scores.numel()].view_as(scores).copy_(scores)


def test_a_scorer_may_return_the_same_memory_again() -> None:
    generator = torch.Generator().manual_seed(0)
    text, video = (torch.randint(-9, 10, (11, 4), generator=generator).float() for _ in range(2))
    rows = np.arange(11)
    seen = torch.empty(11, 11)

    def on_scores(captions: Any, columns: slice, scores: torch.Tensor) -> None:
        seen[torch.from_numpy(captions), columns] = scores

    scorer, queries = OneBuffer((3, 4)), Queries(rows, rows)
    rank(
        scorer,  # type: ignore[arg-type]
        table(text, 5),
        table(video, 2),
        queries,
        "group-max",
        on_scores=on_scores,
    )
    assert torch.equal(seen, text @ video.T)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_tiles_of_a_gpu_land_as_they_were_when_the_next_is_computed() -> None:
    scores, strip = torch.arange(6.0, device="cuda").view(2, 3), torch.zeros(2, 3)
    wait = land(scores, strip)
    scores.zero_()
    wait()
    assert strip.flatten().tolist() == [0, 1, 2, 3, 4, 5]
