"""An explanation as text and as a picture: whatever its size, and whatever its words are."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from xbench.metrics.explanation import Explanation, Grid, Margin, Part
from xbench.reports.page.why import Why, render_why

NASTY = '<script>alert(1)</script> & "quoted" \u202e \x07'


def made(words: int, frames: int, seconds: int) -> Why:
    """An explanation of so many words and frames, of which `seconds` are the video's."""
    random = np.random.default_rng(0)
    grids = tuple(
        Grid(
            kind,
            kind,
            random.standard_normal((words, frames)),
            Margin("video", random.standard_normal(words)),
            Margin("sentence", random.standard_normal(frames)),
        )
        for kind in ("similarity", "weight")
    )
    texts = (*(f"word{index}" for index in range(words - 2)), NASTY, "")
    found = Explanation((Part("one", 0.5, 20.0), Part("two", 0.25, 10.0)), texts, grids)
    times = tuple(float(second) for second in range(seconds))
    return Why(0, 1, NASTY, "video1", False, found.folded(seconds), times, 30.00001)


@pytest.mark.parametrize(("words", "frames", "seconds"), [(8, 4, 4), (32, 12, 7), (64, 64, 64), (3, 1, 1)])
def test_it_fits_a_terminal_and_a_picture_is_well_formed(words: int, frames: int, seconds: int) -> None:
    why = made(words, frames, seconds)
    text = render_why(why)
    assert max(map(len, text.splitlines())) <= 100
    assert "\u202e" not in text
    assert "The run saved 30.0000: 1e-05 from the sum of the parts." in text
    picture = ElementTree.fromstring(render_why(why, "svg"))
    texts = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert any("<script>alert(1)</script>" in each for each in texts)
    numbers = sum(bool(re.fullmatch(r"-?[.\d]+", each)) for each in texts)
    cells = (words - 1 + 1) * (min(seconds + 1, frames) + 1)
    assert (numbers > cells) == (frames < 20)  # more would be too small to read
    assert render_why(why, "svg").count("<image") == 2 * 3


def test_json_holds_every_number() -> None:
    why = made(8, 4, 3)
    found = json.loads(render_why(why, "json"))
    assert found["score"] == sum(part["share"] for part in found["parts"]) == 30
    assert found["frames"] == ["0.0 s", "1.0 s", "2.0 s", "padding"]
    for grid, held in zip(why.explanation.grids, found["grids"], strict=True):
        assert held["values"] == grid.values.tolist()
        assert held["of_words"]["values"] == grid.of_words.values.tolist()


def test_a_scorer_without_words_and_frames_shows_its_parts_alone() -> None:
    found = Explanation((Part("length", 1.0, 2.0),), (), ())
    why = Why(0, 0, "a dog", "v", True, found.folded(3), (0.0, 1.0, 2.0), None)
    assert "The run saved no score of this pair" in render_why(why)
    assert ElementTree.fromstring(render_why(why, "svg")) is not None
