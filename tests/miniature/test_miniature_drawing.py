"""Frames: the same everywhere, with the actors where the scene says."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from xbench.miniature.backdrop import BACKDROPS, HEIGHT, WIDTH, backdrop
from xbench.miniature.benchmarks import MANNERS, clips
from xbench.miniature.colour import PALETTE, yuv
from xbench.miniature.drawing import SHAPES, frame
from xbench.miniature.scene import Act, Actor, Scene

FRAMES = "8c9804aa6f1e9c2f"


def scene_of(shape: str, colour: str = "red", x: float = 0.5, y: float = 0.5, *acts: Act) -> Scene:
    return Scene("snow", (Actor(shape, colour, "big", x, y),), acts, 8)


def test_frames_are_the_same_on_every_machine():
    digest = hashlib.sha256()
    for benchmark in MANNERS:
        for clip in clips(benchmark):
            digest.update(frame(clip.scene, clip.scene.seconds / 3).tobytes())
    assert digest.hexdigest()[:16] == FRAMES, "drawing changed: raise RENDERING, train and record anew"


def test_colours_convert_as_pillow_converts_them():
    rgb = np.array(list(PALETTE.values()), dtype=np.uint8)[None]
    full = np.asarray(Image.fromarray(rgb).convert("YCbCr"), dtype=np.float64)
    video = np.array([16, 128, 128]) + (full - [0, 128, 128]) * [219 / 255, 224 / 255, 224 / 255]
    assert np.abs(yuv(rgb.astype(np.int32)) - video).max() < 1.5


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_drawn_at_its_place_and_nowhere_else(shape):
    x, y = 0.3, 0.6
    changed = frame(scene_of(shape, x=x, y=y), 0)[:HEIGHT] != backdrop("snow", 0)[:HEIGHT]
    rows, columns = np.nonzero(changed)
    centre = ((rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2)
    assert centre == pytest.approx((y * HEIGHT, x * HEIGHT + (WIDTH - HEIGHT) / 2), abs=4)
    assert 0.15 * HEIGHT < np.ptp(rows) < 0.45 * HEIGHT


def test_no_two_shapes_look_alike():
    pictures = [frame(scene_of(shape), 0)[:HEIGHT].astype(int) for shape in SHAPES]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (np.abs(one - other) > 30).sum() > 60


def test_no_two_colours_look_alike():
    colours = yuv(np.array(list(PALETTE.values()), dtype=np.int32)).astype(int)
    distances = [np.abs(one - other).sum() for i, one in enumerate(colours) for other in colours[:i]]
    assert min(distances) > 40


def test_what_has_vanished_leaves_the_backdrop():
    scene = scene_of("ball", "red", 0.5, 0.5, Act(0, "vanish", 1.0, 7.0))
    assert np.array_equal(frame(scene, 8.0), backdrop("snow", 0))
    assert not np.array_equal(frame(scene, 0.0), backdrop("snow", 0))


def test_a_shape_at_the_edge_is_cut_off_there():
    assert frame(scene_of("box", x=-0.2, y=0.02), 0).shape == (HEIGHT * 3 // 2, WIDTH)


@pytest.mark.parametrize("name", BACKDROPS)
def test_a_backdrop_cannot_be_drawn_over_by_accident(name):
    with pytest.raises(ValueError, match="read-only"):
        backdrop(name, 0)[0, 0] = 0


@pytest.mark.parametrize("benchmark", MANNERS)
def test_every_actor_that_shows_stays_in_the_square_that_the_crop_keeps(benchmark):
    margin = (WIDTH - HEIGHT) // 2 - 2
    for clip in clips(benchmark)[::10]:
        empty = backdrop(clip.scene.backdrop, clip.scene.variant)
        for time in range(clip.scene.seconds):
            changed = (frame(clip.scene, time) != empty)[:HEIGHT]
            assert not changed[:, :margin].any()
            assert not changed[:, -margin:].any()
