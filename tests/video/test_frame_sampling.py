"""Which positions are asked for: the published loop written out plainly is the oracle."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.video.positions import cut, published_count, published_positions, uniform_positions

windows = st.none() | st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda w: (w[0], w[0] + w[1] + 1))


def published_loop(frames: int, fps: float, window: tuple[int, int] | None) -> list[int]:
    """The extractor's own arithmetic, with OpenCV's clamp of a position to the frame count.

    It finds no frame at a negative position, which a negative count clamps all of them to.
    """
    if frames < 0:
        return []
    rate = int(fps)
    total = (frames + rate - 1) // rate
    start, end = (0, total) if window is None else (window[0], window[1] if window[1] <= total else total)
    return [min(second * rate, frames) for second in range(start, end + 1)]


@given(frames=st.integers(-5, 5000), fps=st.floats(1, 120), window=windows)
def test_positions_are_those_of_the_published_loop(
    frames: int, fps: float, window: tuple[int, int] | None
) -> None:
    assert list(published_positions(frames, fps, window)) == published_loop(frames, fps, window)


@given(frames=st.integers(0, 5000), fps=st.floats(0.05, 120), window=windows)
def test_the_count_is_that_of_the_positions_inside_the_clip(
    frames: int, fps: float, window: tuple[int, int] | None
) -> None:
    inside = [position for position in published_positions(frames, fps, window) if position < frames]
    assert published_count(frames, fps, window) == len(inside)


def test_a_fractional_rate_is_truncated() -> None:
    assert list(published_positions(93, 29.97, None)) == [0, 29, 58, 87, 93]


def test_a_window_between_two_seconds_is_widened_to_whole_ones() -> None:
    assert list(published_positions(1000, 10, (2.7, 4.2))) == [20, 30, 40, 50]


def test_a_window_may_reach_past_both_ends() -> None:
    assert list(published_positions(30, 10, (-2, math.inf))) == [0, 10, 20, 30]
    assert uniform_positions(30, 10, (-2, math.inf), 3) == [4, 14, 24]


@given(frames=st.integers(1, 60), fps=st.floats(0.05, 0.99))
def test_under_one_frame_a_second_every_frame_is_asked_for_once(frames: int, fps: float) -> None:
    positions = list(published_positions(frames, fps, None))
    assert positions[:frames] == list(range(frames))
    assert positions[frames:] in ([], [frames])


@pytest.mark.parametrize(
    ("count", "kept"), [(8, [0, 1, 2, 4, 5, 7]), (6, [0, 1, 2, 3, 4, 5]), (1, [0]), (0, [])]
)
def test_more_than_the_maximum_is_cut_as_published(count: int, kept: list[int]) -> None:
    assert cut(count, 6) == kept


def uniform_loop(frames: int, parts: int) -> list[int]:
    """InternVideo and UMT: the middle of each interval of `frames` cut into `parts`."""
    parts = min(parts, frames)
    edges = [int(frames * part / parts) for part in range(parts + 1)]
    return [(left + right - 1) // 2 for left, right in pairwise(edges)]


@given(frames=st.integers(1, 3000), parts=st.integers(1, 64))
def test_uniform_takes_the_middle_of_equal_parts(frames: int, parts: int) -> None:
    positions = uniform_positions(frames, 25, None, parts)
    assert len(positions) == len(set(positions)) == min(parts, frames)
    # An edge that is a whole number in exact arithmetic may fall one short in float64, in their code too.
    for position, expected in zip(positions, uniform_loop(frames, parts), strict=True):
        assert abs(position - expected) <= 1
    if frames % min(parts, frames) == 0:
        assert positions == uniform_loop(frames, parts)


@given(
    frames=st.integers(0, 3000),
    fps=st.floats(0.5, 60),
    start=st.floats(0, 60),
    length=st.floats(0.1, 60),
    parts=st.integers(1, 16),
)
def test_uniform_stays_inside_its_window(
    frames: int, fps: float, start: float, length: float, parts: int
) -> None:
    first, stop = math.ceil(start * fps), min(frames, math.ceil((start + length) * fps))
    positions = uniform_positions(frames, fps, (start, start + length), parts)
    assert len(positions) == min(parts, max(stop - first, 0))
    assert all(first <= position < stop for position in positions)
