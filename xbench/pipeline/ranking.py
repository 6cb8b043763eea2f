"""The flow from features to counts: every caption against every video, both ways."""

import os

from xbench.engine.similarity import Queries, rank, save_matrix
from xbench.engine.table import FeatureTable
from xbench.metrics.counts import Counts
from xbench.metrics.ranking import V2TRule
from xbench.pipeline.record import Clock
from xbench.pipeline.request import Request
from xbench.progress import stage
from xbench.scorers.base import PairScorer


def rank_both_ways(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    v2t: V2TRule,
    *,
    request: Request,
    clock: Clock,
) -> tuple[Counts, Counts]:
    """Rank and return the (t2v, v2t) counts, saving the matrix when that is asked for."""
    pairs = len(texts) * len(videos)
    with (
        clock("score"),
        save_matrix(request.save_similarity, len(queries.row), len(videos)) as on_strip,
        stage(f"{request.benchmark}: scoring", pairs, "pairs") as advance,
    ):
        return rank(
            scorer,
            texts,
            videos,
            queries,
            v2t,
            memory=request.memory or _quarter_of_ram(),
            on_strip=on_strip,
            on_pairs=advance,
        )


def _quarter_of_ram() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
