"""How long a video should be, where its annotation or its id tells."""

import re
from collections.abc import Callable

from xbench.data.split import Video

Range = tuple[float, float]
_CLOCK = r"(\d+)\.(\d+)\.(\d+)\.(\d+)"


def expected_seconds(benchmark: str, video: Video) -> Range | None:
    """Return (least, most) seconds that an intact file of this video lasts, None if nothing tells.

    With three seconds and a tenth of room, since files are cut at key frames and were encoded again.
    """
    told = _TOLD[benchmark](video)
    return None if told is None else (told[0] * 0.9 - 3, told[1] * 1.1 + 3)


def _msrvtt(_: Video) -> Range:
    """The official JSON has clips of 10 to 30 seconds only."""
    return 10.0, 30.0


def _msvd(video: Video) -> Range | None:
    """The id ends in the first and last second of the clip: `-4wsuPCjDBc_5_15`."""
    found = re.search(r"_(\d+)_(\d+)$", video.id)
    return (float(found[2]) - float(found[1]),) * 2 if found else None


def _lsmdc(video: Video) -> Range | None:
    """The id ends in two times of the movie: `1012_Unbreakable_00.05.16.065-00.05.21.941`."""
    found = re.search(f"{_CLOCK}-{_CLOCK}$", video.id)
    if not found:
        return None
    start, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
    return end - start, end - start


def _didemo(_: Video) -> Range:
    """Annotated in five or six segments of five seconds, the last of which may be short; often longer."""
    return 20.0, float("inf")


def _activitynet(video: Video) -> Range | None:
    """The window ends at the annotated duration, rounded up."""
    return None if video.window is None else (video.window[1] - 1, video.window[1])


_TOLD: dict[str, Callable[[Video], Range | None]] = {
    "msrvtt": _msrvtt,
    "msvd": _msvd,
    "lsmdc": _lsmdc,
    "didemo": _didemo,
    "activitynet": _activitynet,
}


def _seconds(clock: tuple[str, ...]) -> float:
    hours, minutes, seconds, thousandths = clock
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000
