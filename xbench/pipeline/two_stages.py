"""A run whose model is the second of two stages: the candidates are scored, and ranked as both stages say."""

import hashlib

from xbench.data.split import Split
from xbench.engine.encoding import FeatureTable
from xbench.engine.reranking import score_candidates
from xbench.engine.units import Queries
from xbench.metrics.reranking import TwoStages
from xbench.pipeline.estimate import say_how_long
from xbench.pipeline.first_scores import FirstScores, counts_of
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.ranking import Workplace, ledger_of, memory_of
from xbench.pipeline.record import CountsByPost
from xbench.progress import stage
from xbench.scorers.base import Scorer
from xbench.scorers.every_pair import as_second_stage


def rerank_both_ways(  # noqa: PLR0917  (as `rank_both_ways`, and the first stage)
    scorer: Scorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    split: Split,
    first: FirstScores,
    *,
    plan: RunPlan,
    place: Workplace,
) -> CountsByPost:
    """Score the candidates again and return the (t2v, v2t) counts of both stages; tell how long it will take.

    Pairs that a killed run scored are not scored again. What there was to do is left in `place.reranked`.
    """
    assert plan.first is not None
    with place.clock("candidates"):
        stages = TwoStages(first.of(split), queries.row, queries.video, split.v2t, plan.first.k)
        pairs = len(stages.pairs)
    tables, second = (texts, videos), as_second_stage(scorer)
    ledger = ledger_of(scorer, tables, queries, plan, place, candidates=_told(stages))
    title = f"{split.benchmark}: re-ranking"
    some = videos.rows(0, min(second.block[1], len(videos)))
    say_how_long(second, texts.rows(0, 1), some, pairs, title)
    with place.clock("re-rank"), stage(title, pairs, "pairs") as advance:
        scores = score_candidates(
            second, *tables, stages.by_text(), ledger=ledger, memory=memory_of(plan), on_pairs=advance
        )
    counts, place.reranked = counts_of(stages, scores, first)
    return counts


def _told(stages: TwoStages) -> str:
    """All that a key needs of the candidates."""
    return hashlib.sha256(stages.pairs.tobytes()).hexdigest()
