"""How long a file should be, from its id or annotation."""

import pytest

from xbench.data.benchmarks import room
from xbench.data.split import Video


@pytest.mark.parametrize(
    ("benchmark", "video", "fits", "too_short", "too_long"),
    [
        ("msrvtt", Video("video1"), (10, 30), 5.9, 36.1),
        ("msvd", Video("-4wsuPCjDBc_5_15"), (10, 12), 5.9, 14.1),
        ("msvd", Video("a_b_c_100_160"), (60, 57), 50.9, 69.1),
        ("lsmdc", Video("3064_SPARKLE_2012_01.10.59.500-01.11.19.750"), (20.25, 22), 15, 25.3),
        ("activitynet", Video("aaaaaaaaaaa", (0, 101)), (100.2, 101), 86.9, 114.2),
    ],
)
def test_the_annotated_length_fits_and_others_do_not(
    benchmark: str, video: Video, fits: tuple[float, float], too_short: float, too_long: float
) -> None:
    expected = room(benchmark).expected_seconds(video)
    assert expected is not None
    assert all(expected[0] <= seconds <= expected[1] for seconds in fits)
    assert not expected[0] <= too_short <= expected[1]
    assert not expected[0] <= too_long <= expected[1]


def test_didemo_files_may_be_longer_than_what_was_annotated() -> None:
    expected = room("didemo").expected_seconds(Video("x.mov"))
    assert expected is not None
    assert all(expected[0] <= seconds <= expected[1] for seconds in (20, 3600))
    assert expected[0] > 10


@pytest.mark.parametrize("benchmark", ["msvd", "lsmdc", "activitynet"])
def test_an_id_that_tells_nothing_expects_nothing(benchmark: str) -> None:
    assert room(benchmark).expected_seconds(Video("some clip")) is None
