"""Bounds of counts: never against an honest count, whatever moves within the margin; naive counts agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.metrics.bounds import t2v_bounds, v2t_bounds
from xbench.metrics.counts import Counts
from xbench.metrics.ranking import CaptionGroups, t2v_counts, v2t_counts
from xbench.terms import V2TRule


def rivals_of(owners: np.ndarray, videos: int, rule: V2TRule) -> tuple[np.ndarray, np.ndarray]:
    groups = CaptionGroups(owners)
    if rule == "any-caption" and not groups.single:
        return np.full(len(owners), videos - 1), len(owners) - groups.sizes
    return np.full(len(owners), videos - 1), np.full(len(groups.videos), len(groups.videos) - 1)


def sample(random: np.random.Generator, owners: np.ndarray, some: int) -> tuple[np.ndarray, np.ndarray]:
    """Some videos, and all of their captions."""
    videos = np.sort(random.choice(owners.max() + 1, some, replace=False))
    return np.flatnonzero(np.isin(owners, videos)), videos


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    captions=st.integers(1, 3),
    margin=st.sampled_from([0.0, 0.05, 0.5]),
    rule=st.sampled_from(["group-max", "any-caption"]),
)
def test_an_honest_count_is_never_contradicted(
    seed: int, captions: int, margin: float, rule: V2TRule
) -> None:
    random = np.random.default_rng(seed)
    owners = random.permutation(np.repeat(np.arange(9), captions))
    scores = random.standard_normal((len(owners), 9)).round(1).astype(np.float32)
    moved = scores + random.uniform(-margin / 2, margin / 2, scores.shape) * 0.99
    rows, videos = sample(random, owners, 5)
    t2v_rivals, v2t_rivals = rivals_of(owners, 9, rule)
    own = np.searchsorted(videos, owners[rows])
    found = t2v_bounds(moved[np.ix_(rows, videos)], own, margin)
    counts = t2v_counts(scores, owners).take(rows)
    assert not found.too_few_better(counts).any()
    assert not found.too_many_counted(counts, t2v_rivals[rows]).any()
    found = v2t_bounds(moved[np.ix_(rows, videos)], own, rule, margin)
    counts = v2t_counts(scores, owners, rule).take(videos)
    assert not found.too_few_better(counts).any()
    assert not found.too_many_counted(counts, v2t_rivals[videos]).any()


@pytest.mark.parametrize("rule", ["group-max", "any-caption"])
@pytest.mark.parametrize("captions", [1, 3])
def test_of_the_whole_gallery_only_the_counts_themselves_are_possible(captions: int, rule: V2TRule) -> None:
    random = np.random.default_rng(captions)
    owners = random.permutation(np.repeat(np.arange(8), captions))
    scores = random.standard_normal((len(owners), 8)).astype(np.float32)
    rivals = rivals_of(owners, 8, rule)
    both = (
        (t2v_bounds(scores, owners, 0.0), t2v_counts(scores, owners), rivals[0]),
        (v2t_bounds(scores, owners, rule, 0.0), v2t_counts(scores, owners, rule), rivals[1]),
    )
    for bounds, counts, most in both:
        np.testing.assert_array_equal(bounds.above, counts.better)
        np.testing.assert_array_equal(most - bounds.below, counts.better + counts.tied)
        np.testing.assert_array_equal(bounds.right, counts.right)
        better = Counts(counts.better - 1, counts.tied, counts.right, counts.nan_rivals, 0)
        worse = Counts(counts.better + 1, counts.tied, counts.right, counts.nan_rivals, 0)
        assert bounds.too_few_better(better).all()
        assert bounds.too_many_counted(worse, most).all()


def test_only_a_rival_that_is_farther_away_than_the_margin_counts() -> None:
    scores = np.array([[1.0, 1.2, 1.4, 0.4]], np.float32)
    found = t2v_bounds(scores, np.array([0]), 0.3)
    assert (found.above.tolist(), found.below.tolist(), found.near.tolist()) == ([1], [1], [1])
