"""A scoring as a run does it, which scores some pairs again in another block."""

import numpy as np
import torch

from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import rank
from xbench.engine.units import Queries
from xbench.scorers.base import Features, PairScorer


def rank_like(scorer: PairScorer, text: Features, video: Features, items: int) -> None:
    """Rank that many texts and videos whose vectors lie near those given. Raises ModelError as a run does."""
    random = torch.Generator().manual_seed(0)

    def near(vectors: torch.Tensor) -> torch.Tensor:
        found = vectors.float()[torch.arange(items) % len(vectors)]
        found = found + 0.05 * torch.randn(found.shape, generator=random)
        return torch.nn.functional.normalize(found, dim=-1).to(vectors.dtype)

    tables = (FeatureTable([{name: near(tensor) for name, tensor in side.items()}]) for side in (text, video))
    order = np.arange(items)
    rank(scorer, *tables, Queries(order, order), "group-max")
