"""The flow from features to counts: every caption against every video, both ways."""

import os

import numpy as np

from xbench.engine.similarity import Queries, rank, save_matrix
from xbench.engine.table import FeatureTable
from xbench.metrics.dsl import dsl_counts
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.record import Clock, CountsByPost
from xbench.progress import stage
from xbench.scorers.base import PairScorer
from xbench.storage import scratch
from xbench.terms import V2TRule


def rank_both_ways(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    v2t: V2TRule,
    *,
    plan: RunPlan,
    clock: Clock,
) -> CountsByPost:
    """Rank and return the (t2v, v2t) counts, raw and with the post-processing that is asked for.

    Saves the matrix when that is asked for. Dual softmax needs it too, and reads it from disk in two passes.
    """
    pairs = len(texts) * len(videos)
    with scratch() as folder:
        own = folder / "similarity.npy" if plan.post == "dsl" else None
        matrix = plan.save_similarity or own
        with (
            clock("score"),
            save_matrix(matrix, len(queries.row), len(videos)) as on_strip,
            stage(f"{plan.split.benchmark}: scoring", pairs, "pairs") as advance,
        ):
            counts: CountsByPost = {
                "none": rank(
                    scorer,
                    texts,
                    videos,
                    queries,
                    v2t,
                    memory=plan.memory or _quarter_of_ram(),
                    on_strip=on_strip,
                    on_pairs=advance,
                )
            }
        if plan.post == "dsl":
            assert matrix is not None
            with clock("dual softmax"):
                counts["dsl"] = dsl_counts(np.load(matrix, mmap_mode="r"), queries.video)
    return counts


def _quarter_of_ram() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
