"""The galleries: seeded, tellable only by looking, with fours that differ in direction or order alone."""

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.miniature.benchmarks import MANNERS, Clip, clips
from xbench.miniature.dice import Dice
from xbench.miniature.scene import OPPOSITE, Act, Actor, Scene, look

ALL = pytest.mark.parametrize("benchmark", MANNERS)

SENTENCES = {
    "msrvtt": "f128ea0237c09505",
    "msvd": "d244968949fcfa83",
    "lsmdc": "bc3bdc484385df65",
    "didemo": "cd80de2aac4b479d",
    "activitynet": "e21f7fce586ee440",
}


def fours(benchmark: str) -> list[list[Clip]]:
    grouped = sorted((clip for clip in clips(benchmark) if clip.group >= 0), key=lambda clip: clip.group)
    return [list(four) for _, four in itertools.groupby(grouped, key=lambda clip: clip.group)]


def test_the_dice_roll_the_same_everywhere():
    dice = Dice("the miniature")
    assert [dice.below(100) for _ in range(8)] == [84, 85, 58, 7, 54, 86, 72, 72]
    assert dice.sample("abcdefgh", 8) == list("hfbgecad")


@given(st.text(max_size=8), st.integers(1, 20), st.data())
def test_a_sample_holds_different_options(seed, size, data):
    count = data.draw(st.integers(0, size))
    drawn = Dice(seed).sample(range(size), count)
    assert len(set(drawn)) == count
    assert set(drawn) <= set(range(size))


@ALL
def test_the_captions_are_the_same_on_every_machine(benchmark):
    told = json.dumps([clip.sentences for clip in clips(benchmark)])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == SENTENCES[benchmark]


@ALL
def test_every_gallery_has_at_least_a_hundred_scenes_that_captions_can_tell_apart(benchmark):
    meanings = [clip.scene.meaning() for clip in clips(benchmark)]
    assert len(meanings) >= 100
    assert len(set(meanings)) == len(meanings)


@ALL
def test_no_text_belongs_to_two_videos(benchmark):
    texts = [
        text
        for clip in clips(benchmark)
        for text in ([" ".join(clip.sentences)] if MANNERS[benchmark].style.long else clip.sentences)
    ]
    assert len(set(texts)) == len(texts)


@ALL
def test_groups_are_of_four_that_share_all_but_direction_and_order(benchmark):
    groups = fours(benchmark)
    assert len(groups) >= 10
    for four in groups:
        assert len(four) == 4
        first = four[0].scene
        for scene in (clip.scene for clip in four):
            assert replace(scene, acts=()) == replace(first, acts=())
            assert told_without_direction(scene) == told_without_direction(first)


def told_without_direction(scene: Scene) -> Counter[tuple[int, str]]:
    """Who does what, whatever the order and the direction."""
    axes = {"left": "move", "right": "move", "up": "move", "down": "move", "appear": "fade", "vanish": "fade"}
    return Counter((act.actor, axes.get(act.kind, act.kind)) for act in scene.acts)


@ALL
def test_sentences_are_told_in_the_manner_of_the_benchmark(benchmark):
    counts = {len(clip.sentences) for clip in clips(benchmark)}
    if benchmark == "msvd":
        assert min(counts) > 1
        assert len(counts) > 1
    else:
        assert counts == ({3} if MANNERS[benchmark].style.long else {1})


def test_training_and_test_splits_are_seeded_apart():
    assert clips("msrvtt", split="test")[0] != clips("msrvtt", split="other")[0]
    assert clips("msrvtt") == clips("msrvtt")


def scene_of(*acts: Act) -> Scene:
    return Scene("sea", (Actor("ball", "red", "small", 0.5, 0.5),), acts, 8)


@given(st.sampled_from(sorted(OPPOSITE)), st.floats(0, 8))
def test_the_opposite_act_is_the_same_clip_played_backwards(kind, time):
    there = look(scene_of(Act(0, kind, 1.0, 7.0)), 0, time)
    back = look(scene_of(Act(0, OPPOSITE[kind], 1.0, 7.0)), 0, 8.0 - time)
    for name in ("x", "y", "radius", "opacity"):
        assert getattr(there, name) == pytest.approx(getattr(back, name), abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "name", "sign"),
    [
        ("left", "x", -1),
        ("right", "x", 1),
        ("up", "y", -1),
        ("down", "y", 1),
        ("grow", "radius", 1),
        ("shrink", "radius", -1),
        ("appear", "opacity", 1),
        ("vanish", "opacity", -1),
        ("turn", "turned", 1),
    ],
)
def test_an_act_changes_what_its_word_says(kind, name, sign):
    scene = scene_of(Act(0, kind, 1.0, 7.0, "blue"))
    values = [getattr(look(scene, 0, time), name) for time in (1.0, 4.0, 7.0)]
    assert sorted(values, reverse=sign < 0) == values
    assert len(set(values)) == 3


def test_what_happens_first_is_over_before_the_next_begins():
    scene = scene_of(Act(0, "left", 0.5, 3.5), Act(0, "grow", 4.5, 7.5))
    between = look(scene, 0, 4.0)
    assert between.x == look(scene, 0, 8.0).x < look(scene, 0, 0.0).x
    assert between.radius == look(scene, 0, 0.0).radius < look(scene, 0, 8.0).radius


def test_a_bounce_ends_where_it_began():
    scene = scene_of(Act(0, "bounce", 1.0, 7.0))
    assert look(scene, 0, 0.0) == look(scene, 0, 8.0)
    assert min(look(scene, 0, time / 4).y for time in range(33)) < look(scene, 0, 0.0).y - 0.1
