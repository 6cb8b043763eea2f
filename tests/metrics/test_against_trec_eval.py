"""Measures against trec_eval, which many fields of retrieval trust (pytrec-eval-terrier)."""

import numpy as np
import pytest
import pytrec_eval

from xbench.metrics.counts import rank_queries
from xbench.metrics.intervals import summarise
from xbench.metrics.measures.mean_rank import MeanRank
from xbench.metrics.measures.ndcg import NDCG
from xbench.metrics.measures.recall import Recall
from xbench.metrics.measures.reciprocal_rank import ReciprocalRank
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.terms import Ties

MEASURES = {
    Recall(1): ("success_1", 100),
    Recall(5): ("success_5", 100),
    Recall(10): ("success_10", 100),
    ReciprocalRank(): ("recip_rank", 1),
    NDCG(5): ("ndcg_cut_5", 1),
    NDCG(10): ("ndcg_cut_10", 1),
}


def trec(similarity: np.ndarray, right: list[list[int]]) -> dict[str, list[float]]:
    """Rank every column for each row with trec_eval; right: the relevant columns of each row."""
    evaluator = pytrec_eval.RelevanceEvaluator(
        {f"q{row}": {f"d{column}": 1 for column in columns} for row, columns in enumerate(right)},
        {"success.1,5,10", "recip_rank", "ndcg_cut.5,10"},
    )
    run = {
        f"q{row}": {f"d{column}": float(score) for column, score in enumerate(scores)}
        for row, scores in enumerate(similarity)
    }
    found = evaluator.evaluate(run)
    return {name: [found[f"q{row}"][name] for row in range(len(similarity))] for name, _ in MEASURES.values()}


@pytest.mark.parametrize("captions", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_text_to_video_equals_trec_eval(captions: int, seed: int) -> None:
    owner = np.random.default_rng(seed).permutation(np.repeat(np.arange(40), captions))
    similarity = np.random.default_rng(seed).standard_normal((len(owner), 40)).astype(np.float32)
    similarity[np.arange(len(owner)), owner] += 1
    theirs = trec(similarity, [[video] for video in owner.tolist()])
    counts = t2v_counts(similarity, owner)
    ours = summarise(counts, measures=list(MEASURES)).values
    for measure, (name, scale) in MEASURES.items():
        per_query = measure.values(rank_queries(counts))
        assert per_query == pytest.approx([scale * value for value in theirs[name]])
        assert ours[measure] == pytest.approx(scale * np.mean(theirs[name]))


@pytest.mark.parametrize("seed", range(3))
def test_any_caption_equals_success_and_reciprocal_rank_with_several_right_captions(seed: int) -> None:
    owner = np.random.default_rng(seed).permutation(np.repeat(np.arange(30), 3))
    similarity = np.random.default_rng(seed).standard_normal((90, 30)).astype(np.float32)
    right = [np.flatnonzero(owner == video).tolist() for video in range(30)]
    theirs = trec(similarity.T, right)
    ours = summarise(v2t_counts(similarity, owner, "any-caption"), measures=list(MEASURES)).values
    for measure in (Recall(1), Recall(5), Recall(10), ReciprocalRank()):
        name, scale = MEASURES[measure]
        assert ours[measure] == pytest.approx(scale * np.mean(theirs[name]))


def test_group_max_equals_trec_eval_over_each_videos_best_caption() -> None:
    owner = np.repeat(np.arange(30), 3)
    similarity = np.random.default_rng(0).standard_normal((90, 30)).astype(np.float32)
    best = similarity.reshape(30, 3, 30).max(axis=1).T
    theirs = trec(best, [[video] for video in range(30)])
    ours = summarise(v2t_counts(similarity, owner), measures=list(MEASURES)).values
    for measure, (name, scale) in MEASURES.items():
        assert ours[measure] == pytest.approx(scale * np.mean(theirs[name]))


def test_trec_evals_order_of_ties_lies_within_the_bounds() -> None:
    similarity = np.round(np.random.default_rng(1).standard_normal((60, 60)), 1).astype(np.float32)
    counts = t2v_counts(similarity, np.arange(60))
    assert counts.tied.any()
    theirs = trec(similarity, [[row] for row in range(60)])
    best, worst = (summarise(counts, t, list(MEASURES)).values for t in (Ties.OPTIMISTIC, Ties.PESSIMISTIC))
    for measure, (name, scale) in MEASURES.items():
        value = scale * np.mean(theirs[name])
        assert worst[measure] - 1e-9 <= value <= best[measure] + 1e-9
    assert summarise(counts, measures=[MeanRank()]).values[MeanRank()] > 1
