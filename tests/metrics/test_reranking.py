"""Ranks of two stages against a full sort of every query, spelled out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.errors import DataError
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.metrics.reranking import TwoStages, second_scores


def place(right, rivals):
    """The best and the worst place of the right one among items: (stage, score) each, higher first."""
    better = sum(rival > right for rival in rivals)
    return better + 1, better + 1 + sum(rival == right for rival in rivals)


def ranked(first, second, right, k):
    """Sort all items of a query. first, second: a score for each item; right: which are right; the best is.

    An item is a candidate unless k others are ahead of it. Candidates come first, by the second stage.
    """
    n = len(first)
    inside = [sum(first[other] > first[item] for other in range(n)) < k for item in range(n)]
    keys = [(1, second[item]) if inside[item] else (0, first[item]) for item in range(n)]
    best = max(keys[item] for item in range(n) if right[item])
    rivals = [keys[item] for item in range(n) if not right[item]]
    return *place(best, rivals), best[0] == 0, sum(inside) > k


def naive(first, second, owners, rule, k):
    """(first place, last place, outside, wider) of every query in both directions."""
    captions, videos = first.shape
    t2v = [ranked(first[t], second[t], np.arange(videos) == owners[t], k) for t in range(captions)]
    with_captions = sorted(set(owners))
    v2t = []
    for video in with_captions:
        if rule == "group-max":
            groups = [[t for t in range(captions) if owners[t] == other] for other in with_captions]
            one = [max(first[t, video] for t in group) for group in groups]
            two = [max(second[t, video] for t in group) for group in groups]
            v2t.append(ranked(one, two, np.array(with_captions) == video, k))
        else:
            v2t.append(ranked(first[:, video], second[:, video], owners == video, k))
    return t2v, v2t


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_counts_are_those_of_a_full_sort(data):
    videos = data.draw(st.integers(1, 6))
    owners = np.array(data.draw(st.lists(st.integers(0, videos - 1), min_size=1, max_size=9)))
    k, rule = data.draw(st.integers(1, 10)), data.draw(st.sampled_from(["group-max", "any-caption"]))
    random = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    first, second = (random.integers(-2, 3, (len(owners), videos)).astype(np.float32) for _ in range(2))
    texts = random.integers(0, len(owners), len(owners))  # several captions may have one text
    _, row = np.unique(texts, return_inverse=True)
    second = second[np.unique(row, return_index=True)[1]][row]
    stages = TwoStages(first, row, owners, rule, k)
    found = stages.counts(second_scores(second, stages))
    for side, queries in zip(("t2v", "v2t"), naive(first, second, owners, rule, k), strict=True):
        counts = getattr(found, side)
        places = list(
            zip((counts.better + 1).tolist(), (counts.better + counts.tied + 1).tolist(), strict=True)
        )
        assert places == [query[:2] for query in queries]
        assert found.outside[side] == sum(query[2] for query in queries)
        assert found.wider[side] == sum(query[3] for query in queries)


@pytest.fixture
def scores():
    random = np.random.default_rng(0)
    return random.normal(size=(60, 20)).astype(np.float32), random.normal(size=(60, 20)).astype(np.float32)


OWNERS = np.arange(60) % 20


def two(first, second, rule, k):
    stages = TwoStages(first, np.arange(len(first)), OWNERS, rule, k)
    return stages, stages.counts(second_scores(second, stages))


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
def test_k_beyond_the_gallery_is_the_second_stage_alone(scores, rule):
    stages, found = two(*scores, rule, 61)
    assert len(stages.pairs) == scores[0].size
    for counts, alone in (
        (found.t2v, t2v_counts(scores[1], OWNERS)),
        (found.v2t, v2t_counts(scores[1], OWNERS, rule)),
    ):
        assert np.array_equal(counts.better, alone.better)
        assert np.array_equal(counts.tied, alone.tied)
        assert np.array_equal(counts.right, alone.right)


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
def test_one_candidate_cannot_be_ranked_otherwise(scores, rule):
    _, found = two(*scores, rule, 1)
    assert np.array_equal(found.t2v.better, t2v_counts(scores[0], OWNERS).better)
    assert np.array_equal(found.v2t.better, v2t_counts(scores[0], OWNERS, rule).better)


def test_a_first_stage_that_cannot_tell_lets_everything_in():
    first, second = np.zeros((6, 6), np.float32), np.eye(6, dtype=np.float32)
    stages = TwoStages(first, np.arange(6), np.arange(6), "group-max", 2)
    found = stages.counts(second_scores(second, stages))
    assert len(stages.pairs) == 36
    assert found.wider == {"t2v": 6, "v2t": 6}
    assert not found.t2v.better.any()
    assert not found.t2v.tied.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_first_stage_that_is_not_finite_is_refused(scores, bad):
    scores[0][3, 4] = bad
    with pytest.raises(DataError, match="1 of the first stage's scores are NaN or infinite"):
        two(*scores, "group-max", 5)


def test_a_second_stage_that_is_not_finite_is_told_where_it_was_looked_at(scores):
    first, second = scores
    worst = int(first[0].argmin())
    second[0, worst] = np.nan
    two(first, second, "any-caption", 1)
    with pytest.raises(DataError, match="1 of the second stage's 1,200 scores are NaN or infinite"):
        two(first, second, "any-caption", 60)
