"""The rules of sampling beside the published one: their texts, their arithmetic, their frames of files."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.video.made_clips import irregular, make, number_of
from xbench.errors import UsageError
from xbench.sampling import FrameRule, Windows, frame_rule, names
from xbench.video.choice import Sampling
from xbench.video.decode import DamagedVideo, read_clip
from xbench.video.positions import repeated, segment_positions, strided_positions, timed_positions, windows_of

windows = st.none() | st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda w: (w[0], w[0] + w[1]))


@pytest.mark.parametrize(
    "text",
    [*names(), "fps=0.5", "fps=29.97002997", "segments=1x100+repeat-last", "fps=1+repeat-last+windows=4"],
)
def test_a_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(frame_rule(text)) == text
    assert frame_rule(str(frame_rule(text))) == frame_rule(text)


def test_equal_rules_have_one_text() -> None:
    assert str(frame_rule("fps=2.0")) == str(frame_rule("fps=02")) == str(FrameRule("fps", 2)) == "fps=2"
    assert str(FrameRule("segments", parts=8, each=4, repeat_last=True)) == "segments=8x4+repeat-last"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unifrom", "Did you mean 'uniform'"),
        ("fps", "Did you mean 'fps=2'"),
        ("fps=x", "expected a finite number"),
        ("fps=nan", "expected a finite number"),
        ("fps=0", "a number above 0"),
        ("fps=1e9", "at most 100,000"),
        ("every=", "needs an amount"),
        ("uniform=8", "Did you mean 'uniform'"),
        ("segments=8", "write segments=PARTSxFRAMES"),
        ("segments=0x4", "from 1 on"),
        ("segments=99999x99999", "100,000 frames in all"),
        ("uniform+repeat", r"Did you mean 'uniform\+repeat-last'"),
        ("uniform+windows=3+repeat-last", r"Did you mean 'uniform\+repeat-last'"),
        ("fps=2+windows=2s/3", "write windows=3, windows=10s"),
        ("fps=2+windows=1.2.3s", "write windows=3, windows=10s"),
        ("fps=2+windows=0.01s", "0.1 to 100,000 seconds"),
        ("", "Known"),
        (3, "is a int"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_there_is(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        frame_rule(text)


@pytest.mark.parametrize(
    "made", [{"name": "uniform", "amount": 2}, {"name": "uniform", "parts": 2, "each": 2}, {"name": "often"}]
)
def test_a_rule_with_numbers_of_another_is_none(made: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no "):
        FrameRule(**made)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: FrameRule("fps", "2"),  # type: ignore[arg-type]
        lambda: FrameRule("fps", True),
        lambda: FrameRule("segments", parts=True, each=True),
        lambda: FrameRule("uniform", repeat_last="no"),  # type: ignore[arg-type]
        lambda: FrameRule("uniform", windows=3),  # type: ignore[arg-type]
        lambda: Windows(2.5),  # type: ignore[arg-type]
        lambda: Windows(True),
        lambda: Windows(seconds="3"),  # type: ignore[arg-type]
    ],
)
def test_a_scorer_that_makes_a_rule_of_wrong_types_is_told(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"expected|whole numbers|True or False|seconds"):
        make()


def shown_at(begins: list[float], moments: list[float]) -> list[int]:
    """The last frame that began by each moment, each once."""
    found: list[int] = []
    for moment in moments:
        index = max(at for at, begin in enumerate(begins) if begin <= moment)
        found += [index] if index not in found else []
    return found


@given(
    steps=st.lists(st.integers(1, 9), min_size=1, max_size=60),
    rate=st.sampled_from([1, 2, 4, 8]),
    window=windows,
)
def test_frames_by_time_are_those_shown_at_each_moment(
    steps: list[int], rate: int, window: tuple[int, int] | None
) -> None:
    begins = [sum(steps[:index]) / 8 for index in range(len(steps))]  # eighths: exact in binary
    end = begins[-1] + 1 / 8
    first, last = window or (0, 10**6)
    moments = [first + number / rate for number in range(5000) if first + number / rate < min(end, last)]
    assert timed_positions(len(begins), 8, window, rate, begins) == shown_at(begins, moments)


@given(frames=st.integers(0, 300), fps=st.sampled_from([8, 16]), rate=st.sampled_from([1, 2, 4]))
def test_without_times_the_rate_tells_them(frames: int, fps: int, rate: int) -> None:
    assert timed_positions(frames, fps, None, rate, []) == list(range(0, frames, fps // rate))


@given(frames=st.integers(0, 500), fps=st.floats(0.2, 60), window=windows, seconds=st.floats(0.01, 5))
def test_every_takes_one_step_all_along(
    frames: int, fps: float, window: tuple[int, int] | None, seconds: float
) -> None:
    positions = strided_positions(frames, fps, window, seconds)
    assert all(later - earlier == max(round(seconds * fps), 1) for earlier, later in pairwise(positions))
    if window is None and frames:
        assert positions[0] == 0
        assert positions[-1] + max(round(seconds * fps), 1) >= frames


@given(frames=st.integers(0, 500), window=windows, parts=st.integers(1, 12), each=st.integers(1, 9))
def test_segments_are_neighbours_in_parts_that_do_not_overlap(
    frames: int, window: tuple[int, int] | None, parts: int, each: int
) -> None:
    groups = segment_positions(frames, 10, window, parts, each)
    flat = [index for group in groups for index in group]
    inside = range(frames) if window is None else range(window[0] * 10, min(window[1] * 10, frames))
    assert len(groups) == min(parts, len(inside))
    assert flat == sorted(set(flat))
    assert all(index in inside for index in flat)
    assert all(later - earlier == 1 for group in groups for earlier, later in pairwise(group))
    if len(inside) >= parts * (each + 1):
        assert [len(group) for group in groups] == [each] * parts


def test_segments_lie_in_the_middle_of_their_parts() -> None:
    assert segment_positions(40, 10, None, 4, 2) == [[4, 5], [14, 15], [24, 25], [34, 35]]
    assert segment_positions(40, 10, None, 4, 3) == [[3, 4, 5], [13, 14, 15], [23, 24, 25], [33, 34, 35]]
    assert segment_positions(3, 10, None, 4, 2) == [[0], [1], [2]]


def test_the_last_is_repeated() -> None:
    assert repeated([3, 5], 4) == [3, 5, 5, 5]
    assert repeated([3, 5], 1) == [3, 5]
    assert repeated([], 4) == []


@given(
    start=st.floats(0, 100),
    length=st.floats(0.01, 100),
    windows=st.builds(Windows, st.integers(1, 9))
    | st.builds(Windows, st.none(), st.floats(0.1, 20), st.none() | st.floats(0.5, 20)),
)
def test_windows_lie_in_their_clip_and_reach_its_end(start: float, length: float, windows: Windows) -> None:
    found = windows_of(windows, start, start + length)
    assert found[0][0] == start
    assert all(start <= begin < end <= start + length + 1e-9 for begin, end in found)
    step = windows.step or windows.seconds
    if step is None or step <= (windows.seconds or 0):
        assert found[-1][1] == pytest.approx(start + length, abs=1e-4)
    if windows.count is not None:
        assert len(found) == windows.count
    assert windows_of(windows, start, start) == []


def numbers(
    path: Path, rule: str, most: int | None = None, window: tuple[float, float] | None = None
) -> list[int]:
    clip = read_clip(path, window, Sampling(most, rule), None)
    found = [number_of(frame) for frame in clip.frames]
    assert found == list(clip.source)
    return found


@pytest.mark.parametrize(
    ("rule", "most", "expected"),
    [
        ("fps=2", None, [0, 12, 25, 37, 50, 62, 75, 87]),  # half a second is frame 12.5: 12 is still shown
        ("every=1", None, [0, 25, 50, 75]),
        ("every=0.5", None, [0, 12, 24, 36, 48, 60, 72, 84, 96]),
        ("every=1", 3, [0, 25, 75]),
        ("segments=2x3", 6, [23, 24, 25, 73, 74, 75]),
        ("uniform+repeat-last", 4, [12, 37, 62, 87]),
        ("published+repeat-last", 7, [0, 25, 50, 75, 75, 75, 75]),
    ],
)
def test_the_frames_of_a_file_are_those_of_the_rule(
    rule: str, most: int | None, expected: list[int], tmp_path: Path
) -> None:
    path = make(tmp_path / "clip.mp4", frames=100)
    assert numbers(path, rule, most) == expected


def test_short_clips_are_filled_up(tmp_path: Path) -> None:
    path = make(tmp_path / "short.mp4", frames=5)
    assert numbers(path, "uniform", 8) == [0, 1, 2, 3, 4]
    assert numbers(path, "uniform+repeat-last", 8) == [0, 1, 2, 3, 4, 4, 4, 4]
    assert numbers(path, "segments=2x4+repeat-last", 8) == [0, 1, 1, 1, 2, 3, 4, 4]
    assert numbers(path, "segments=2x4", 8) == [0, 1, 2, 3, 4]


def test_a_variable_rate_is_read_off_the_time_stamps(tmp_path: Path) -> None:
    times = irregular(2, 60)  # 33 ms, then 200 ms
    path = make(tmp_path / "vfr.mkv", frames=60, times=times)
    begins = [time / 1000 for time in times]
    moments = [number / 2 for number in range(2000) if number / 2 < begins[-1]]
    assert numbers(path, "fps=2") == shown_at(begins, moments)
    inside = [moment for moment in moments if 2 <= moment < 4]
    assert numbers(path, "fps=2", window=(2, 4)) == shown_at(begins, inside)


@pytest.mark.parametrize(
    "made",
    [
        {"path": "field.mp4", "codec": "libx264", "field": "tff"},
        {"path": "field.mkv", "codec": "mpeg2video", "field": "bff"},
        {"path": "packed.avi", "codec": "mpeg4"},
        {"path": "edited.mp4", "first_time": -2},
    ],
    ids=lambda made: made["path"],
)
def test_files_of_odd_kinds_give_the_same_frames_by_time_as_by_number(
    made: dict[str, object], tmp_path: Path
) -> None:
    path = make(tmp_path / str(made.pop("path")), frames=80, **made)  # type: ignore[arg-type]
    by_time = read_clip(path, (0, 2), Sampling(None, "fps=1"), None)
    by_number = read_clip(path, (0, 2), Sampling(None, "every=1"), None)
    assert by_time.source == by_number.source == (0, 25)


def test_a_damaged_file_is_told_whatever_the_rule(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mkv", frames=100, gop=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for rule in ("fps=2", "every=1", "segments=4x2", "uniform+repeat-last", "fps=1+windows=3", "none"):
        with pytest.raises(DamagedVideo) as raised:
            read_clip(path, None, Sampling(8, rule), None)
        assert 0 < raised.value.got < raised.value.wanted, rule


FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the golden files are not here")
def test_x_pools_frames_can_be_asked_for() -> None:
    golden = json.loads((FOLDER / "models" / "xpool" / "golden.json").read_text())["video"]
    for name, known in golden.items():
        for count in (4, 12):
            clip = read_clip(FOLDER / "video" / name, None, Sampling(count, "uniform+repeat-last"), 8)
            assert list(clip.source) == known[f"indices_{count}"]
